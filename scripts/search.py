"""The earlier name of `reaction-search search`."""

from retrieval.cli import main

if __name__ == "__main__":
    main(verb=["search"])

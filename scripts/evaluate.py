"""The earlier name of `reaction-search evaluate`."""

from retrieval.cli import main

if __name__ == "__main__":
    main(verb=["evaluate"])

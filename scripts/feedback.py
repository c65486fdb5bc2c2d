"""The earlier name of `reaction-search feedback`."""

from retrieval.cli import main

if __name__ == "__main__":
    main(verb=["feedback"])

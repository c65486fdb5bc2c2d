"""The earlier name of `reaction-search build`."""

from retrieval.cli import main

if __name__ == "__main__":
    main(verb=["build"])

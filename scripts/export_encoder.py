"""The earlier name of `reaction-search export`."""

from retrieval.cli import main

if __name__ == "__main__":
    main(verb=["export"])

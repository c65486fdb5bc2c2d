"""The earlier name of `reaction-search train`."""

from retrieval.cli import main

if __name__ == "__main__":
    main(verb=["train"])

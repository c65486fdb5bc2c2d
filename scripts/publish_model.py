"""The earlier name of `reaction-search publish checkpoint`."""

from retrieval.cli import main

if __name__ == "__main__":
    main(verb=["publish", "checkpoint"])

"""The earlier name of `reaction-search deploy`."""

from retrieval.cli import main

if __name__ == "__main__":
    main(verb=["deploy"])

"""The earlier name of `reaction-search train`."""

import sys

from retrieval.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])

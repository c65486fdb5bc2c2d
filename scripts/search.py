"""The earlier name of `reaction-search search`."""

import sys

from retrieval.cli import main

if __name__ == "__main__":
    main(["search", *sys.argv[1:]])

"""The earlier name of `reaction-search export`."""

import sys

from retrieval.cli import main

if __name__ == "__main__":
    main(["export", *sys.argv[1:]])

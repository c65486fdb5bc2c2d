"""The earlier name of `reaction-search evaluate`."""

import sys

from retrieval.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])

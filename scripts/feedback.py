"""The earlier name of `reaction-search feedback`."""

import sys

from retrieval.cli import main

if __name__ == "__main__":
    main(["feedback", *sys.argv[1:]])

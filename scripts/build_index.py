"""The earlier name of `reaction-search build`."""

import sys

from retrieval.cli import main

if __name__ == "__main__":
    main(["build", *sys.argv[1:]])

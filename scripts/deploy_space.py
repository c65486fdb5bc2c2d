"""The earlier name of `reaction-search deploy`."""

import sys

from retrieval.cli import main

if __name__ == "__main__":
    main(["deploy", *sys.argv[1:]])

"""The earlier name of `reaction-search publish checkpoint`."""

import sys

from retrieval.cli import main

if __name__ == "__main__":
    main(["publish", "checkpoint", *sys.argv[1:]])

"""The earlier name of `reaction-search publish bundle`."""

import sys

from retrieval.cli import main

if __name__ == "__main__":
    main(["publish", "bundle", *sys.argv[1:]])

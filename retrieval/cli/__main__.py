"""`python -m retrieval.cli VERB …`, where the console script is not on the path."""

from retrieval.cli.dispatch import main

main()

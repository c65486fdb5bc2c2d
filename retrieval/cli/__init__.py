"""The `reaction-search` command: parse arguments, call the library, show the result."""

from retrieval.cli.dispatch import main

__all__ = ["main"]

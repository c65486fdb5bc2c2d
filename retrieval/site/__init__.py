"""Write a bundle as a static site, whose search runs in the visitor's browser."""

from retrieval.site.data import write_data

__all__ = ["write_data"]

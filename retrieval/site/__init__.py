"""Write a bundle as a static site, whose search runs in the visitor's browser."""

from retrieval.site.assemble import Site, write_site
from retrieval.site.data import write_data
from retrieval.site.deploy import write_folder, written

__all__ = ["Site", "write_data", "write_folder", "write_site", "written"]

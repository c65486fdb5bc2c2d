"""Publishing: cards, uploads to the Hub, Spaces."""

from retrieval.publishing.space import assemble, write
from retrieval.publishing.uploads import Publication, bundle_files, checkpoint_files

__all__ = ["Publication", "assemble", "bundle_files", "checkpoint_files", "write"]

"""Publishing: cards, uploads to the Hub, Spaces."""

from retrieval.publishing.cards import site_card
from retrieval.publishing.space import (
    assemble,
    model_on_hub,
    refuse_secrets,
    write,
    write_files,
)
from retrieval.publishing.uploads import Publication, bundle_files, checkpoint_files

__all__ = [
    "Publication",
    "assemble",
    "bundle_files",
    "checkpoint_files",
    "model_on_hub",
    "refuse_secrets",
    "site_card",
    "write",
    "write_files",
]

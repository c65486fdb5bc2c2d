"""The catalogue of the library that is served, read without loading an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from retrieval.library import Catalog, folder_of, read_tables


def library_catalog(where: Path | str) -> Catalog:
    """The catalogue of the bundle at a folder or hf:// address; parsed once per build.

    BundleError while a bundle on the Hub has not been opened, and if there is none or it is
    damaged.
    """
    return read_tables(folder_of(where)).catalog


def filter_choices(where: Path | str) -> Mapping[str, Sequence[str]]:
    """The tags, licenses and sources that occur in the bundle, each sorted.

    Raises what `library_catalog` raises.
    """
    catalog = library_catalog(where)
    return {
        "tags": sorted(catalog.tags.numbers),
        "licenses": sorted(filter(None, catalog.licenses.numbers)),
        "sources": sorted(filter(None, catalog.sources.numbers)),
    }

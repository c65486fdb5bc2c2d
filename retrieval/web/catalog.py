"""The catalogue of the library that is served: parsed once for each version of its file.

The only place of the web package that reads a catalogue. The page's filters and the
server's routes use it before, or without, loading an index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from retrieval.library import CATALOG, Record, folder_of, read_catalog


def library_records(where: Path | str) -> Mapping[str, Record]:
    """The records of the bundle at a folder or hf:// address, by id.

    BundleError while a bundle on the Hub has not been opened; OSError if there is none.
    """
    bundle = folder_of(where)
    return _records(bundle, catalog_version(bundle))


def filter_choices(where: Path | str) -> Mapping[str, Sequence[str]]:
    """The tags, licenses and sources that occur in the bundle, each sorted.

    Raises what `library_records` raises.
    """
    bundle = folder_of(where)
    return _choices(bundle, catalog_version(bundle))


def catalog_version(bundle: Path) -> int:
    """A key for caches of what was read from the bundle: a build replaces the catalogue."""
    return (bundle / CATALOG).stat().st_mtime_ns


@lru_cache(maxsize=2)
def _records(bundle: Path, version: int) -> dict[str, Record]:
    return {record.id: record for record in read_catalog(bundle / CATALOG)}


@lru_cache(maxsize=2)
def _choices(bundle: Path, version: int) -> dict[str, list[str]]:
    records = _records(bundle, version).values()
    return {
        "tags": sorted({tag for record in records for tag in record.tags}),
        "licenses": sorted({record.license for record in records if record.license}),
        "sources": sorted({record.source for record in records if record.source}),
    }

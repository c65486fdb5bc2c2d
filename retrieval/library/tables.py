"""The manifest and the catalogue of a bundle, without its index: one build's, checked and cached.

What a server looks up for each picture that it serves. A build that is swapped in meanwhile is
noticed by its manifest, and read as a whole: catalogue and manifest are never of two builds.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from retrieval.errors import BundleError
from retrieval.library.bundle import read_whole, version_of
from retrieval.library.catalog import Catalog, Record, read_catalog
from retrieval.library.embeddings import read_frame_indices
from retrieval.library.integrity import check_files
from retrieval.library.manifest import (
    CATALOG,
    DAMAGE,
    EMBEDDINGS,
    MANIFEST,
    Location,
    Manifest,
    read_manifest,
)

MAX_CACHED = 2  # bundles; the one before a rebuild is still being searched


@dataclass(frozen=True)
class Tables:
    """What a bundle says of its GIFs."""

    folder: Path
    manifest: Manifest
    catalog: Catalog
    digest: str  # of the manifest's bytes: of this build, and of no other
    _frames: dict[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sha256_of(self, record: Record) -> str:
        """The SHA-256 that a GIF's file must have: its id, unless the manifest names another."""
        facts = self.manifest.files.get(record.uri)
        return str(facts["sha256"]) if facts else record.id

    def frame_indices(self) -> Mapping[str, np.ndarray]:
        """The int32 indices of the embedded frames by GIF id; read when first asked for.

        BundleError if the embeddings are damaged, or another build was swapped in.
        """
        with self._lock:
            if not self._frames:
                _check(self.folder, self.manifest, f"{EMBEDDINGS}/")
                try:
                    self._frames["all"] = read_frame_indices(self.folder / EMBEDDINGS)
                except DAMAGE as error:
                    raise BundleError(f"{self.folder} is damaged ({error}).") from error
            return self._frames["all"]


_lock = threading.Lock()
_read: OrderedDict[tuple[Path, tuple[int, ...] | None], Tables] = OrderedDict()


def read_tables(folder: Path) -> Tables:
    """Return the tables of the bundle in a folder; read once per build.

    BundleError if there is none, or its manifest or catalogue is damaged.
    """
    key = folder, version_of(folder)
    with _lock:
        if key not in _read:
            tables = read_whole(folder, lambda: _tables_in(folder))
            if version_of(folder) != key[1]:  # swapped since: the next call finds it
                return tables
            _read[key] = tables
            while len(_read) > MAX_CACHED:
                _read.popitem(last=False)
        _read.move_to_end(key)
        return _read[key]


def _tables_in(folder: Path) -> Tables:
    manifest = read_manifest(folder)
    _check(folder, manifest, CATALOG)
    try:
        catalog = read_catalog(folder / CATALOG)
        digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except DAMAGE as error:
        raise BundleError(f"{folder} is damaged ({error}).") from error
    return Tables(folder, manifest, catalog, digest)


def _check(folder: Path, manifest: Manifest, prefix: str) -> None:
    """BundleError unless the files whose names begin so have their hashes."""
    names = [name for name in manifest.files if name.startswith(prefix)]
    check_files(Location.of(folder), folder, manifest, names=names)

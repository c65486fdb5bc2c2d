"""What the library page says of a bundle: numbers, charts, licences, groups of look-alikes.

All of it comes from the catalogue and the manifest: no encoder or index is loaded. The sizes of
files that lie outside of the bundle are looked up in a thread of their own.
"""

from __future__ import annotations

import shlex
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import MediaError
from retrieval.hub import is_address
from retrieval.library import (
    MANIFEST,
    MEDIA,
    UNKNOWN_LICENSE,
    Bundle,
    Catalog,
    Manifest,
    Record,
    folder_of,
    is_web_address,
    read_tables,
)
from retrieval.web.routes import media_file

MAX_BARS = 12  # values of a chart; the others are one bar together
BINS = 16  # of a histogram
TAIL = 0.99  # quantile at which the last bin of a histogram starts to take all larger values
LIST_NAME = "leave-out.txt"  # of the look-alikes to leave out, as the page writes it


class FileSizes:
    """The size in bytes of each GIF's file: None for a GIF on the web, or that cannot be shown."""

    def __init__(self, folder: Path, catalog: Catalog, known: dict[str, Any], *, pulled: bool):
        self._folder, self._catalog, self._pulled = folder, catalog, pulled
        self._by_uri: dict[str, int | None] = {
            name: facts["bytes"] for name, facts in known.items() if name.startswith(f"{MEDIA}/")
        }
        self._all: list[int | None] | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._look_up, name="file-sizes", daemon=True).start()

    def of(self, record: Record) -> int | None:
        """The size of one record's file."""
        if is_web_address(record.uri):
            return None
        if record.uri not in self._by_uri:
            try:
                size = media_file(self._folder, record, pulled=self._pulled).size_bytes
            except (MediaError, OSError):
                size = None
            self._by_uri[record.uri] = size
        return self._by_uri[record.uri]

    def wait(self, timeout_s: float) -> list[int | None] | None:
        """The sizes of all records, in catalogue order; None if they are not there in time."""
        self._ended.wait(None if timeout_s == float("inf") else timeout_s)
        return self._all

    def _look_up(self) -> None:
        try:
            self._all = [self.of(record) for record in self._catalog]
        finally:
            self._ended.set()


@dataclass(frozen=True)
class FileNumbers:
    """What is known of all files together."""

    n_bytes: int
    n_missing: int  # GIFs that are not on the web and cannot be shown
    kilobytes: dict[str, Any] | None  # a histogram of their sizes


@dataclass(frozen=True)
class Overview:
    """One version of the bundle that is served."""

    folder: Path
    pulled: bool  # whether it comes from the Hub
    version: str  # 16 hexadecimal digits
    catalog: Catalog
    manifest: Manifest

    def is_of(self, collection: object) -> bool:
        """Whether a collection that is searched is of this version."""
        return isinstance(collection, Bundle) and collection.manifest == self.manifest

    @cached_property
    def sizes(self) -> FileSizes:
        return FileSizes(self.folder, self.catalog, dict(self.manifest.files), pulled=self.pulled)

    @cached_property
    def charts(self) -> dict[str, Any]:
        """Charts of licences, sources and durations, where there is something to see."""
        seconds = [record.duration_ms / 1000 for record in self.catalog if record.duration_ms]
        charts = {
            "license": bars(record.license for record in self.catalog),
            "source": bars(record.source for record in self.catalog),
            "duration": histogram(seconds),
        }
        return {name: chart for name, chart in charts.items() if chart}

    @cached_property
    def files(self) -> FileNumbers:
        """Totals and a histogram of the file sizes; waits until all are known."""
        sizes = self.sizes.wait(float("inf")) or []
        pairs = zip(self.catalog, sizes, strict=True)
        return FileNumbers(
            n_bytes=sum(size or 0 for size in sizes),
            n_missing=sum(size is None and not is_web_address(r.uri) for r, size in pairs),
            kilobytes=histogram([size / 1000 for size in sizes if size]),
        )

    @cached_property
    def unlicensed(self) -> list[int]:
        """The numbers of the GIFs whose licence is not known."""
        return [i for i, record in enumerate(self.catalog) if is_unlicensed(record)]

    @cached_property
    def look_alikes(self) -> list[np.ndarray]:
        """The groups of two or more GIFs that search would fold, as numbers, largest first."""
        leaders, sizes = np.unique(self.catalog.groups, return_counts=True)
        groups = [self.catalog.group_members(leader) for leader in leaders[sizes > 1].tolist()]
        return sorted(groups, key=len, reverse=True)

    def kept(self, group: Sequence[int]) -> int:
        """The GIF of a group to keep unless someone chooses another: most pixels, then bytes."""
        return max(group, key=lambda i: (_pixels(self.catalog[i]), self._bytes(i), -i))

    def _bytes(self, number: int) -> int:
        return self.sizes.of(self.catalog[number]) or 0

    def build_command(self) -> str:
        """The command that builds the bundle again without the GIFs of a list, without paths.

        The manifest has the name of the source only; where it lies, its owner knows.
        """
        kind, _, name = self.manifest.source.partition(" ")
        source = name if kind in ("folder", "list") and name else "SOURCE"
        words = ["reaction-search", "build", source, "--out", f"index/{self.folder.name}"]
        if self.manifest.checkpoint != "mini":
            words += ["--model", self.manifest.checkpoint]
        if self.manifest.pretrained:
            words += ["--pretrained", self.manifest.pretrained]
        if any(name.startswith(f"{MEDIA}/") for name in self.manifest.files):
            words.append("--copy-media")
        return shlex.join([*words, "--leave-out", LIST_NAME])


def open_overview(where: Path | str) -> Overview:
    """The overview of a bundle in a folder or at an hf:// address, made once per version.

    BundleError if it is no bundle, or while one on the Hub has not been opened.
    """
    folder = folder_of(where)
    facts = (folder / MANIFEST).stat()
    return _open(where, folder, facts.st_mtime_ns, facts.st_ino)


@lru_cache(maxsize=2)
def _open(where: Path | str, folder: Path, mtime_ns: int, inode: int) -> Overview:
    tables = read_tables(folder)
    return Overview(folder, is_address(where), tables.digest[:16], tables.catalog, tables.manifest)


def is_unlicensed(record: Record) -> bool:
    """Whether nothing is known of a GIF's licence."""
    return record.license.strip().lower() in ("", UNKNOWN_LICENSE)


def bars(values: Iterable[str]) -> list[dict[str, Any]]:
    """How often each value occurs, most frequent first; [] unless there are two values to compare.

    Beyond MAX_BARS values, the last bar has the value None and counts all others.

    >>> bars(["a", "b", "a"]), bars(["a", "a"])
    ([{'value': 'a', 'count': 2}, {'value': 'b', 'count': 1}], [])
    """
    counts = Counter(values).most_common()
    if len(counts) < 2:
        return []
    found: list[dict[str, Any]] = [{"value": v, "count": n} for v, n in counts[:MAX_BARS]]
    if rest := sum(n for _, n in counts[MAX_BARS:]):
        found.append({"value": None, "count": rest})
    return found


def histogram(values: Sequence[float]) -> dict[str, Any] | None:
    """Bin the values: {"edges": BINS + 1 numbers, "counts": BINS}; None if they are all the same.

    The last bin also counts what is larger than its edge.
    """
    if len(set(values)) < 2:
        return None
    array = np.array(values, float)
    low, high = float(array.min()), float(np.quantile(array, TAIL, method="higher"))
    counts, edges = np.histogram(np.minimum(array, high), BINS, (low, max(high, low + 1e-9)))
    return {"edges": edges.round(3).tolist(), "counts": counts.tolist()}


def _pixels(record: Record) -> int:
    return record.width * record.height

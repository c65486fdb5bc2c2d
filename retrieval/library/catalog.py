"""The catalogue: one record per GIF, stored as Parquet, and its columns for filters.

What is known of a GIF beyond its pixels comes with it from its source (retrieval.build).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, overload
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.library.parquet import check_columns, read_columns
from retrieval.media import PictureText

UNKNOWN_LICENSE = "unknown"


@dataclass(frozen=True)
class Record:
    """One GIF.

    `id` is the SHA-256 of its bytes; `uri` a path (relative to the bundle for media inside
    it), a URL, or "" where the file cannot be reached (a row of a data set).
    """

    id: str
    uri: str
    title: str
    tags: tuple[str, ...] = ()
    emoji: str = ""
    source: str = ""
    license: str = UNKNOWN_LICENSE
    attribution: str = ""
    n_frames: int = 1
    duration_ms: int = 0
    width: int = 0
    height: int = 0
    places: tuple[str, ...] = ()  # all files and URLs with the same bytes
    group: int = -1  # catalogue number of the GIF that leads its near-duplicates; -1: itself
    texts: tuple[PictureText, ...] = ()  # words read in its pictures, by time


DESCRIBED = ("title", "tags", "emoji", "source", "license", "attribution")

_TEXT = pa.struct(
    {
        "text": pa.string(),
        "frame": pa.int32(),
        "time_ms": pa.int32(),
        "confidence": pa.float64(),
        "box": pa.list_(pa.float64()),
    }
)
_TYPES = {
    "str": pa.string(),
    "int": pa.int32(),
    "tuple[str, ...]": pa.list_(pa.string()),
    "tuple[PictureText, ...]": pa.list_(_TEXT),
}
SCHEMA = pa.schema([(field.name, _TYPES[str(field.type)]) for field in fields(Record)])


def is_web_address(text: str) -> bool:
    """Return whether this is a URL that a browser may be given as a link or an image.

    >>> [is_web_address(text) for text in ("https://a.b/c.gif", "javascript://a.b", "c.gif")]
    [True, False, False]
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


class Catalog(Sequence[Record]):
    """Records in order, and their columns as arrays, made once and shared by all searches."""

    def __init__(self, records: Iterable[Record]):
        self._records = tuple(records)

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...

    def __getitem__(self, index: int | slice) -> Record | tuple[Record, ...]:
        return self._records[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Catalog) and self._records == other._records

    def __hash__(self) -> int:
        return hash(self._records)

    def find(self, id_prefix: str) -> int | None:
        """Return the number of the first GIF whose id starts so; None if there is none."""
        ids, numbers = self._sorted_ids
        start = bisect_left(ids, id_prefix)
        end = start
        while id_prefix and end < len(ids) and ids[end].startswith(id_prefix):
            end += 1
        return min(numbers[start:end], default=None)

    @cached_property
    def _sorted_ids(self) -> tuple[list[str], list[int]]:
        pairs = sorted((record.id, number) for number, record in enumerate(self._records))
        return [gif_id for gif_id, _ in pairs], [number for _, number in pairs]

    @cached_property
    def tags(self) -> Postings:
        """The GIFs with each tag."""
        return Postings.of(self._records, lambda record: record.tags)

    @cached_property
    def licenses(self) -> Postings:
        return Postings.of(self._records, lambda record: (record.license,))

    @cached_property
    def sources(self) -> Postings:
        return Postings.of(self._records, lambda record: (record.source,))

    @cached_property
    def animated(self) -> np.ndarray:
        """Whether each GIF has more than one frame, bool (n,)."""
        return np.array([record.n_frames > 1 for record in self._records], bool)

    @cached_property
    def groups(self) -> np.ndarray:
        """The number of the GIF that leads each GIF's near-duplicates, int64 (n,)."""
        groups = np.array([record.group for record in self._records], np.int64)
        return np.where(groups < 0, np.arange(len(groups)), groups)

    def one_of_each_group(self, gifs: np.ndarray) -> np.ndarray:
        """Return where the first GIF of each group stands in `gifs`, ascending, int64."""
        return np.sort(np.unique(self.groups[gifs], return_index=True)[1])

    def group_members(self, leader: int) -> np.ndarray:
        """Return the numbers of the GIFs in the group of this leader, ascending, int64."""
        order, leaders = self._by_group
        start, end = np.searchsorted(leaders, [leader, leader + 1])
        return order[start:end]

    @cached_property
    def _by_group(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.groups, kind="stable")
        return order, self.groups[order]


@dataclass(frozen=True)
class Postings:
    """An inverted index of one column: the numbers of the GIFs that have each value."""

    n: int
    numbers: dict[str, np.ndarray]  # value → int64 numbers, ascending

    @classmethod
    def of(cls, records: Sequence[Record], values: Callable[[Record], Iterable[str]]) -> Postings:
        found: dict[str, list[int]] = {}
        for number, record in enumerate(records):
            for value in values(record):
                found.setdefault(value, []).append(number)
        arrays = {value: np.array(numbers, np.int64) for value, numbers in found.items()}
        return cls(len(records), arrays)

    def mask(self, values: Collection[str]) -> np.ndarray:
        """Return whether each GIF has at least one of the values, bool (n,)."""
        mask = np.zeros(self.n, bool)
        for value in values:
            if value in self.numbers:
                mask[self.numbers[value]] = True
        return mask


MAX_CACHED = 2  # catalogues; the one before a rebuild is still being searched
_reading = threading.Lock()
_read: OrderedDict[tuple[int, ...], Catalog] = OrderedDict()


def write_catalog(records: Sequence[Record], path: Path) -> None:
    """Write the records, in order, as one Parquet file."""
    pq.write_table(pa.Table.from_pylist([asdict(r) for r in records], schema=SCHEMA), path)


def read_catalog(path: Path) -> Catalog:
    """Return the catalogue in a Parquet file; columns of a later version are ignored.

    A catalogue of before words were read has no column of them.

    A file is parsed once per process, and again when it was replaced or changed: whoever
    reads it shares one catalogue. ValueError if it is none.
    """
    with _reading:
        while (version := _version(path)) not in _read:
            catalog = _parse(path)
            if _version(path) == version:  # no build was swapped in meanwhile
                _read[version] = catalog
                while len(_read) > MAX_CACHED:
                    _read.popitem(last=False)
        _read.move_to_end(version)
        return _read[version]


def _version(path: Path) -> tuple[int, ...]:
    facts = path.stat()
    times = facts.st_mtime_ns, facts.st_ctime_ns
    return (facts.st_dev, facts.st_ino, *times, facts.st_size)


def _parse(path: Path) -> Catalog:
    there = pq.read_schema(path).names
    columns = [name for name in SCHEMA.names if name != "texts" or name in there]
    rows = check_columns(read_columns(path, columns), SCHEMA).to_pylist()
    catalog = Catalog(map(_record_of, rows))
    if len(catalog) and catalog.groups.max() >= len(catalog):
        raise ValueError(f"a group is led by GIF {catalog.groups.max():,} of {len(catalog):,}")
    return catalog


def _record_of(row: dict[str, Any]) -> Record:
    lists = {name: tuple(row[name] or ()) for name in ("tags", "places")}
    texts = [PictureText(**{**text, "box": tuple(text["box"])}) for text in row.get("texts") or ()]
    return Record(**{**row, **lists, "texts": tuple(texts)})


def count_licenses(records: Sequence[Record]) -> dict[str, int]:
    """Return the number of records under each licence, most frequent first."""
    return dict(Counter(record.license for record in records).most_common())

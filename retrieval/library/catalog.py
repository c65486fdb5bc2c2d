"""The catalogue: one record a GIF, kept as Parquet.

What is known of a GIF beyond its pixels comes with it from its source: sources.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

UNKNOWN_LICENSE = "unknown"


@dataclass(frozen=True)
class Record:
    """One GIF. `id` is the SHA-256 of its bytes; `uri` a path (relative to the bundle
    for media inside it) or an address, "" for one that was left where it cannot be
    reached (a row of a data set)."""

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
    places: tuple[str, ...] = ()  # all files and addresses with these very bytes
    group: int = -1  # the catalogue number of the GIF whose near-duplicate it is; its own if none


DESCRIBED = ("title", "tags", "emoji", "source", "license", "attribution")

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("uri", pa.string()),
        ("title", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("emoji", pa.string()),
        ("source", pa.string()),
        ("license", pa.string()),
        ("attribution", pa.string()),
        ("n_frames", pa.int32()),
        ("duration_ms", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("places", pa.list_(pa.string())),
        ("group", pa.int32()),
    ]
)


def is_web_address(text: str) -> bool:
    """Whether this is an address that a browser may be given as a link or a picture.

    >>> [is_web_address(text) for text in ("https://a.b/c.gif", "javascript://a.b", "c.gif")]
    [True, False, False]
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def write_catalog(records: Sequence[Record], path: Path) -> None:
    """Write the records, in order, as one Parquet file."""
    pq.write_table(pa.Table.from_pylist([asdict(r) for r in records], schema=SCHEMA), path)


def read_catalog(path: Path) -> list[Record]:
    """The records of a Parquet file, in order; columns of a later version are passed over."""
    names = [field.name for field in fields(Record)]
    rows = pq.read_table(path, columns=names).to_pylist()
    return [
        Record(**{**row, "tags": tuple(row["tags"] or ()), "places": tuple(row["places"] or ())})
        for row in rows
    ]


def count_licenses(records: Sequence[Record]) -> dict[str, int]:
    """How many records stand under each licence, most first."""
    return dict(Counter(record.license for record in records).most_common())

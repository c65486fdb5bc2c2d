"""Items to index, and the base class of their sources.

A source yields its items one by one and keeps none, so it may be larger than memory. Each
kind of source has a module of its own.
"""

from __future__ import annotations

import posixpath
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from retrieval.embedding import Skipped
from retrieval.library import DESCRIBED
from retrieval.media import SUFFIXES

# Skipped rows are listed up to this number and counted beyond, as a list may have millions of
# wrong lines.
MAX_LISTED = 1_000


@dataclass(frozen=True)
class Item:
    """A media file to embed. Exactly one of path, url and data is set."""

    name: str  # in reports: a path as written, an address, "NAME[train] row 12"
    uri: str  # absolute path or address; "" for a row that holds bytes
    described: Mapping[str, Any] = field(default_factory=dict)  # any of catalog.DESCRIBED
    path: Path | None = None
    url: str | None = None
    data: bytes | None = None
    suffix: str = ""  # one of media.SUFFIXES, if known

    def __post_init__(self) -> None:
        if [self.path, self.url, self.data].count(None) != 2:
            raise ValueError(f"{self.name}: expected exactly one of path, url and data")


class Source(ABC):
    """Iterable of items, read again on each iteration; for one reader at a time.

    `left_out` lists up to MAX_LISTED rows skipped by the current iteration; `n_left_out`
    counts all of them.
    """

    def __init__(self, label: str, limit: int | None = None):
        if limit is not None and limit < 1:
            raise ValueError(f"limit is {limit}; expected at least 1")
        self.label = label  # for reports: "folder my-gifs", "list urls.csv"
        self.limit = limit
        self.left_out: list[Skipped] = []
        self.n_left_out = 0

    def __iter__(self) -> Iterator[Item]:
        self.left_out, self.n_left_out = [], 0
        return islice(self._items(), self.limit)

    def total(self) -> int | None:
        """Approximate number of rows, including those to be skipped; None if unknown."""
        count = self._count()
        if count is None or self.limit is None:
            return count
        return min(count, self.limit)

    @abstractmethod
    def _items(self) -> Iterator[Item]: ...

    @abstractmethod
    def _count(self) -> int | None: ...

    def _leave_out(self, where: str, reason: str) -> None:
        self.n_left_out += 1
        if len(self.left_out) < MAX_LISTED:
            self.left_out.append(Skipped(where, reason))


def describe(row: Mapping[str, Any], *, title: str = "") -> dict[str, Any]:
    """The catalogue fields (catalog.DESCRIBED) of a row: clean text, and tags as a tuple.

    `title` is the default. Tags may be a list or comma-separated text. Empty fields are
    omitted, except for tags.

    >>> describe({"title": " so  sad ", "tags": "cry, tears", "license": None})
    {'title': 'so sad', 'tags': ('cry', 'tears')}
    """
    found = {name: clean(row.get(name)) for name in DESCRIBED if name != "tags"}
    found["title"] = found["title"] or clean(title)
    tags = row.get("tags")
    if not isinstance(tags, (list, tuple)):
        tags = clean(tags).split(",")
    described: dict[str, Any] = {name: text for name, text in found.items() if text}
    described["tags"] = tuple(tag for tag in map(clean, tags) if tag)
    return described


def clean(value: Any) -> str:
    """The value as one line of text; "" for None and NaN, which tables use for missing values.

    Half a surrogate pair, which JSON can hold and Parquet cannot, becomes "?".
    """
    if value is None or value != value:
        return ""
    return " ".join(str(value).encode("utf-8", "replace").decode().split())


def listed(names: Sequence[str], n: int, separator: str = ", ") -> str:
    """The first n names, and the number of further ones.

    >>> listed(["a.gif", "b.gif", "c.gif"], 2)
    'a.gif, b.gif and 1 more'
    """
    more = f" and {len(names) - n:,} more" if len(names) > n else ""
    return separator.join(names[:n]) + more


def title_of(address: str) -> str:
    """A title derived from a file name or the last part of an address.

    >>> title_of("deep/So_sad-today.gif"), title_of("http://127.0.0.1/two%20cats.gif?w=9")
    ('So sad today', 'two cats')
    """
    stem, suffix = _name_of(address)
    return clean(stem.replace("_", " ").replace("-", " ")) or stem + suffix or address


def suffix_of(address: str) -> str:
    """The suffix of a path or an address, in lower case; "" if unsupported.

    >>> suffix_of("A.GIF"), suffix_of("http://127.0.0.1/b.webp?w=9"), suffix_of("a.html")
    ('.gif', '.webp', '')
    """
    suffix = _name_of(address)[1].lower()
    return suffix if suffix in SUFFIXES else ""


def _name_of(address: str) -> tuple[str, str]:
    """(stem, suffix) of the last part; not with pathlib, which interns every part."""
    _, scheme, rest = address.partition("://")
    path = unquote(re.split("[?#]", rest)[0]) if scheme else address
    return posixpath.splitext(posixpath.basename(path.rstrip("/")))


def check_url(url: str) -> str:
    """Return the address if it can be fetched.

    Otherwise ValueError with a reason that does not repeat the address: a report may be
    published, and the address may contain a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError as error:
        raise ValueError(f"no valid address ({error})") from error
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{parts.scheme or 'no scheme'}: cannot be fetched; expected http(s)://")
    if not host:
        raise ValueError("an address without a host")
    if "@" in parts.netloc:
        raise ValueError("the address holds a user name, which the index would publish")
    return url

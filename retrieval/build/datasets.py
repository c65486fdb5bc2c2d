"""The rows of a Hugging Face data set, streamed: from the Hub, or from a local folder.

The media column is of type Image or Video, or holds bytes; failing these, addresses. Stored
bytes are used without decoding, so that an animation keeps its frames. Of the other columns,
  title, caption, text, txt       the first non-empty one is the title,
  tags, labels, label             are tags, a ClassLabel by its name,
  emoji, source, license, attribution   describe the item,
and the rest is ignored. The default of `source` is the data set's name.
Rows count from 0, as in the data set itself. Columns of a WebDataset's .json count too.
The media column may be named, and a text column that alone is the title, for evaluation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import datasets
import fsspec

from retrieval.build.items import Item, Source, check_url, clean, describe, suffix_of, title_of
from retrieval.build.lists import ADDRESS_COLUMNS
from retrieval.errors import SourceError
from retrieval.media import Limits, media_suffix

TITLE_COLUMNS = ("title", "caption", "text", "txt")
TAG_COLUMNS = ("tags", "labels", "label")
# Preferred media columns, if there are several of a kind.
MEDIA_COLUMNS = ("gif", "image", "video", "media", "file", "webp", "mp4", "bytes", "data")

# How a path may lead into a file of the data set. Any other file system in a chain would be asked
# instead of the data set: file:///etc/passwd::hf://… is a file of this machine.
ARCHIVES = ("zip://", "tar://", "gzip://", "bz2://", "xz://", "zstd://", "lz4://")

DEFAULT_SPLIT = "train"


class DatasetSource(Source):
    """The rows of one split. SourceError if it cannot be loaded, or has no media."""

    def __init__(
        self,
        name: str,
        split: str | None = None,
        limit: int | None = None,
        *,
        media_column: str | None = None,
        text_column: str | None = None,
    ):
        self._text_column = text_column
        self._name, _, config = name.partition("#")
        local = Path(self._name).expanduser()
        self._is_local = local.is_dir()
        path = str(local) if self._is_local else self._name
        if not self._is_local and (self._name.startswith((".", "/", "~")) or path.count("/") > 1):
            raise SourceError(
                f"{path} is no folder. Give a folder, or a data set's name on the Hub "
                f"(dataset:OWNER/NAME)."
            )
        with _named_errors(self._name), _no_bars():
            splits = datasets.load_dataset(path, config or None, streaming=True)
        chosen = split or (DEFAULT_SPLIT if DEFAULT_SPLIT in splits else next(iter(splits)))
        if chosen not in splits or (split is None and len(splits) > 1 and chosen != DEFAULT_SPLIT):
            raise SourceError(
                f"The data set {self._name} has no split {split or DEFAULT_SPLIT!r}, but "
                f"{', '.join(map(repr, splits))}. Name one of these with --split."
            )
        shown = local.resolve().name if self._is_local else self._name
        super().__init__(f"data set {shown}, split {chosen}", limit)
        self._row_name = f"{shown}[{chosen}] row"
        with _named_errors(self._name):
            self._open(splits[chosen], media_column)

    def _open(self, rows: datasets.IterableDataset, media_column: str | None) -> None:
        info = rows.info.splits
        self._n_rows = info[rows.split].num_examples if info and rows.split in info else None
        if rows.features is None:  # JSON says no types; those of the first row must do
            self._features = dict(datasets.Dataset.from_list(list(rows.take(1))).features)
        else:
            self._features = dict(rows.features)
            # At once, before any other step: rows from the Hub come with threads that decode
            # and that only this takes away again; a cast later would encode pictures anew.
            rows = rows.decode(False)
        for column in filter(None, (media_column, self._text_column)):
            if column not in self._features:
                raise SourceError(
                    f"The data set {self._name} has no column {column}, only "
                    f"{', '.join(self._features)}."
                )
        self._media = media_column or self._media_column()
        wanted = {self._media, "json", *TITLE_COLUMNS, *TAG_COLUMNS}
        wanted |= {"emoji", "source", "license", "attribution", self._text_column or ""}
        self._rows = rows.select_columns([name for name in self._features if name in wanted])

    def _media_column(self) -> str:
        ranked: list[tuple[int, int, str]] = []
        for name, feature in self._features.items():
            kind = _kind(name, feature)
            if kind is not None:
                ranked.append((kind, [*MEDIA_COLUMNS, name].index(name), name))
        if not ranked:
            raise SourceError(
                f"The data set {self._name} has no column of pictures, only "
                f"{', '.join(self._features)}. Expected one of type Image, Video or binary, or "
                f"addresses in a column url."
            )
        return min(ranked)[2]

    def _count(self) -> int | None:
        return self._n_rows

    def _items(self) -> Iterator[Item]:
        with _named_errors(self._name):
            rows = iter(self._rows)
        for number in count():
            with _named_errors(self._name, f" stopped at row {number}:"):
                row = next(rows, None)
            if row is None:
                return
            name = f"{self._row_name} {number}"
            try:
                item = self._item(name, row)
            except (ValueError, OSError) as error:
                self._leave_out(name, clean(error) or type(error).__name__)
            else:
                yield item

    def _item(self, name: str, row: Mapping[str, Any]) -> Item:
        """Convert a row; ValueError or OSError with a reason if it is invalid."""
        held = row[self._media]
        if isinstance(held, Mapping):
            address, data = held.get("path") or "", held.get("bytes")
        else:
            address, data = (held, None) if isinstance(held, str) else ("", held)
        if data is None and not address:
            raise ValueError(f"nothing in column {self._media}")
        *inside, store = address.split("::")  # "zip://a.gif::hf://datasets/…/b.zip"
        file_name = inside[0] if inside else store
        described = self._describe(row, title_of(file_name) if file_name else name)
        suffix = suffix_of(file_name)
        if data is None:
            if isinstance(held, str) or address.startswith(("http://", "https://")):
                return Item(name, address, described, url=check_url(address), suffix=suffix)
            # A set from the Hub has no business with the files of this machine.
            if not store.startswith("hf://") and not (self._is_local and os.path.isabs(store)):
                raise ValueError("a path outside of the data set")
            if not all(part.startswith(ARCHIVES) for part in inside):
                raise ValueError("a path outside of the data set")
            if address == store and self._is_local:
                return Item(name, address, described, path=Path(address), suffix=suffix)
            # On the Hub or inside an archive. A byte over the limit has it left out later.
            with fsspec.open(address, "rb") as file:
                data = file.read(Limits().max_bytes + 1)
        return Item(name, "", described, data=bytes(data), suffix=suffix or media_suffix(data))

    def _describe(self, row: Mapping[str, Any], title: str) -> dict[str, Any]:
        nested = row.get("json")
        merged = {**nested, **row} if isinstance(nested, Mapping) else dict(row)
        if self._text_column:
            title = ""
        columns = (self._text_column,) if self._text_column else TITLE_COLUMNS
        titles = (merged.get(column) for column in columns)
        firsts = (value[0] if value and isinstance(value, list) else value for value in titles)
        tags: list[str] = []
        for column in TAG_COLUMNS:
            named = _class_names(self._features.get(column), merged.get(column))
            tags += describe({"tags": named})["tags"]
        merged["title"] = next((text for text in map(clean, firsts) if text), title)
        merged["tags"] = list(dict.fromkeys(tags))
        if not clean(merged.get("source")) and not self._is_local:
            merged["source"] = self._name
        return describe(merged)


def _kind(name: str, feature: Any) -> int | None:
    """0: image or video, 1: bytes, 2: address, None: neither."""
    if isinstance(feature, (datasets.Image, datasets.Video)):
        return 0
    if isinstance(feature, dict):  # an Image column whose file does not say that it is one
        return 0 if "bytes" in feature else None
    dtype = getattr(feature, "dtype", "")
    if dtype in ("binary", "large_binary"):
        return 1
    return 2 if dtype in ("string", "large_string") and name in ADDRESS_COLUMNS else None


def _class_names(feature: Any, value: Any) -> Any:
    """Text unchanged, ClassLabel numbers as names; other numbers are dropped."""
    inner = getattr(feature, "feature", feature)
    inner = inner[0] if isinstance(inner, list) else inner
    values = value if isinstance(value, list) else [value]
    if isinstance(inner, datasets.ClassLabel):
        return [inner.int2str(number) for number in values if number is not None and number >= 0]
    return value if all(isinstance(text, str) for text in values) else []


@contextmanager
def _named_errors(name: str, where: str = "") -> Iterator[None]:
    """Translate errors of `datasets` and its file systems to one sentence."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # they raise errors of a dozen libraries, with no common base
        text = clean(error).split(" Example of usage")[0]
        if isinstance(error, datasets.exceptions.DatasetNotFoundError):
            mend = "Check the name; if it is private or gated, log in first: hf auth login."
        elif "onfig" in text and "vailable" in text:
            mend = f"Name a configuration: dataset:{name.partition('#')[0]}#CONFIG."
        elif isinstance(error, ConnectionError):
            mend = "Check the network, or give a local folder: dataset:FOLDER."
        else:
            mend = "Expected a data set of Parquet files, an imagefolder or a WebDataset."
        reason = text.rstrip(".") or type(error).__name__
        raise SourceError(
            f"The data set {name}{where or ' cannot be opened:'} {reason}. {mend}"
        ) from error


@contextmanager
def _no_bars() -> Iterator[None]:
    """Disable the progress bars of `datasets`, which would disturb the caller's."""
    were_off = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not were_off:
            datasets.enable_progress_bars()

"""Lists of files and addresses: .txt, .csv, .jsonl, .ndjson and .parquet.

A .txt file has one path or address per line; blank lines and those that begin with # are
ignored. The others have columns: the location is in the first non-empty one of
ADDRESS_COLUMNS; title, tags, emoji, source, license and attribution describe the item; other
columns are ignored. Relative paths start at the list's folder. Lists are read row by row;
missing files are reported when they are read.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.build.items import Item, Source, check_url, clean, describe, suffix_of, title_of
from retrieval.errors import SourceError
from retrieval.library import DESCRIBED

LIST_SUFFIXES = (".txt", ".csv", ".jsonl", ".ndjson", ".parquet")
ADDRESS_COLUMNS = ("file_name", "path", "file", "url", "uri", "image_url")
KNOWN = (*ADDRESS_COLUMNS, *DESCRIBED)

MAX_LINE_BYTES = 1_000_000  # no row is longer; one file of JSON without line ends may be
BATCH_ROWS = 1_024
# Counting lines reads the file once: about 0.1 s for 100 MB. Beyond this the progress has no
# total.
MAX_COUNTED_BYTES = 1_000_000_000

NO_PLACE = re.compile("[\x00-\x1f\ud800-\udfff]")  # control characters, lone surrogates

Row = Mapping[str, Any]

# Of the whole process; a field of more than 131,072 characters is an error otherwise. Lines
# that are too long are refused here anyway.
csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))


class ListSource(Source):
    """The items of a list file. SourceError if it cannot be read or names no files."""

    def __init__(self, path: Path, limit: int | None = None):
        super().__init__(f"list {path.name}", limit)
        self._path = path
        self._folder, self._kind = path.resolve().parent, path.suffix.lower()
        with self._readable(), path.open("rb") as file:
            if self._kind == ".parquet":
                self._check_columns(pq.read_schema(file).names)
            elif self._kind == ".csv":
                lines = Lines(file)
                try:
                    columns = next(csv.reader(lines, strict=True), [])
                except csv.Error:  # Python 3.10 refuses the NULs of UTF-16 by itself
                    if not lines.trouble:
                        raise
                if lines.trouble:
                    raise UnicodeError(f"its first line is {lines.trouble}")
                self._check_columns(columns)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, csv.Error, pa.ArrowException, UnicodeError) as error:
            raise SourceError(
                f"{self._path} cannot be read ({(str(error).splitlines() or [''])[0]}); expected "
                f"a list in UTF-8 that ends in {', '.join(LIST_SUFFIXES)}."
            ) from error

    def _check_columns(self, columns: list[str]) -> None:
        names = [clean(column).lower() for column in columns]
        if not set(names) & set(ADDRESS_COLUMNS):
            raise SourceError(
                f"{self._path} has no column that says where the files are, only "
                f"{', '.join(names[:20]) or 'none at all'}. Name it one of "
                f"{', '.join(ADDRESS_COLUMNS)}; a table that holds the pictures themselves is a "
                f"data set: dataset:{self._path.parent}."
            )

    def _count(self) -> int | None:
        """Number of rows, counting each line of a multi-line CSV field."""
        with self._readable(), self._path.open("rb") as file:
            if self._kind == ".parquet":
                return int(pq.read_metadata(file).num_rows)
            if os.fstat(file.fileno()).st_size > MAX_COUNTED_BYTES:
                return None
            passed_over = (b"#",) if self._kind == ".txt" else ()
            lines = sum(1 for line in file if line.strip() and not line.startswith(passed_over))
        return lines - (self._kind == ".csv")

    def _items(self) -> Iterator[Item]:
        with self._readable():
            for where, row in self._rows():
                try:
                    item = self._item(row)
                except ValueError as error:
                    self._leave_out(where, str(error))
                else:
                    yield item

    def _item(self, row: Row) -> Item:
        """Convert a row; ValueError with a reason if it is invalid."""
        values = [row[column] for column in ADDRESS_COLUMNS if row.get(column)]
        if not values:
            raise ValueError(f"no path and no address in {', '.join(ADDRESS_COLUMNS)}")
        if not isinstance(values[0], str):
            raise ValueError(f"the path or address is {values[0]!r:.60}; expected text")
        text = values[0].strip()
        described = describe(row, title=title_of(text))
        place = locate(text, self._folder)
        if isinstance(place, str):
            return Item(text, place, described, url=place, suffix=suffix_of(text))
        return Item(text, str(place), described, path=place, suffix=suffix_of(place.name))

    def _rows(self) -> Iterator[tuple[str, Row]]:
        """Yield (position, row); lines that are no rows are skipped."""
        if self._kind == ".parquet":
            yield from self._parquet_rows()
            return
        with self._path.open("rb") as file:
            lines = Lines(file)
            yield from self._csv_rows(lines) if self._kind == ".csv" else self._line_rows(lines)

    def _line_rows(self, lines: Lines) -> Iterator[tuple[str, Row]]:
        is_text = self._kind == ".txt"
        for line in lines:
            where = f"{self._path.name} line {lines.number}"
            if lines.trouble:
                self._leave_out(where, lines.take_trouble())
            elif not line.strip() or (is_text and line.startswith("#")):
                continue
            elif is_text:
                yield where, {"path": line}
            else:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    self._leave_out(where, f"no JSON ({error})")
                    continue
                if isinstance(row, dict):
                    yield where, _known(row)
                else:
                    self._leave_out(where, f"a {type(row).__name__}; expected {{…}} with columns")

    def _csv_rows(self, lines: Lines) -> Iterator[tuple[str, Row]]:
        reader = csv.reader(lines, strict=True)
        header = next(reader, [])
        while True:
            first = lines.number + 1
            values, reason = [], ""
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                reason = str(error)
            reason = lines.take_trouble() or reason
            if len(values) > len(header) and any(values[len(header) :]):
                reason = f"{len(values)} fields, but {len(header)} columns; quote those with commas"
            # an open quote runs on until the csv module gives up
            upto = f" to {lines.number}" if lines.number > first else ""
            where = f"{self._path.name} line {first}{upto}"
            if reason:
                self._leave_out(where, reason)
            elif any(value.strip() for value in values):
                yield where, _known(dict(zip(header, values, strict=False)))

    def _parquet_rows(self) -> Iterator[tuple[str, Row]]:
        """Rows are numbered from 0, as usual for Parquet."""
        with pq.ParquetFile(self._path) as table:
            columns = [n for n in table.schema_arrow.names if n.strip().lower() in KNOWN]
            number = 0
            for batch in table.iter_batches(BATCH_ROWS, columns=columns):
                for row in batch.to_pylist():
                    yield f"{self._path.name} row {number}", _known(row)
                    number += 1


class Lines(Iterator[str]):
    """Iterate over a file's lines as text; records the line number and decoding errors."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.number = 0
        self.trouble = ""  # of the lines since it was taken

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = self._file.readline(MAX_LINE_BYTES)
            self.trouble = f"longer than {MAX_LINE_BYTES:,} bytes"
            return "\n"
        try:
            # spreadsheets begin a file with a byte order mark
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError:
            self.trouble = "not UTF-8"
            return line.decode("utf-8", "replace")

    def take_trouble(self) -> str:
        trouble, self.trouble = self.trouble, ""
        return trouble


def _known(row: Row) -> Row:
    """The known columns of a row, by lower-case name."""
    return {key: v for name, v in row.items() if (key := str(name).strip().lower()) in KNOWN}


def locate(text: str, folder: Path) -> Path | str:
    """The absolute path, from `folder` if it is relative, or the http(s) address.

    ValueError with a reason for anything else.
    """
    if NO_PLACE.search(text):
        raise ValueError("a path or address with a character that has no place in one")
    if text.lower().startswith("file:"):
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise ValueError("file:// on another machine cannot be read; expected file:///path")
        return Path(url2pathname(parts.path))
    if "://" in text or text.lower().startswith("data:"):
        return check_url(text)
    return folder / text

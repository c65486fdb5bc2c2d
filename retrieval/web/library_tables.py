"""Tables of the library as CSV (RFC 4180), safe to open in a spreadsheet, and streamed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath, PureWindowsPath

from retrieval.library import UNKNOWN_LICENSE, Record, is_web_address

ROWS_AT_ONCE = 500
# A spreadsheet evaluates a cell that starts so, and a title may come from anywhere
# (https://owasp.org/www-community/attacks/CSV_Injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

LIBRARY_COLUMNS = (
    "id", "title", "emoji", "tags", "license", "attribution", "source", "frames", "seconds",
    "width", "height",
)  # fmt: skip
LICENSE_COLUMNS = ("file_name", "title", "license", "attribution", "source")


def defused(value: object) -> str:
    """A cell that no spreadsheet takes for a formula.

    >>> defused("=1+1"), defused("so sad"), defused(-3)
    ("'=1+1", 'so sad', '-3')
    """
    text = str(value)
    is_formula = isinstance(value, str) and text.startswith(FORMULA_STARTS)
    return f"'{text}" if is_formula else text


def csv_chunks(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The table in chunks of ROWS_AT_ONCE rows, first the names of the columns."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)  # CR LF, and quotes where they are needed
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow(map(defused, row))
        if number % ROWS_AT_ONCE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def library_row(record: Record) -> tuple[object, ...]:
    """A record under LIBRARY_COLUMNS; the places of files on this machine are left out."""
    return (
        record.id, record.title, record.emoji, ", ".join(record.tags), record.license,
        record.attribution, record.source, record.n_frames, record.duration_ms / 1000,
        record.width, record.height,
    )  # fmt: skip


def license_row(record: Record) -> tuple[object, ...]:
    """A record under LICENSE_COLUMNS: a row of metadata.csv, with an empty licence to fill in."""
    known = "" if record.license == UNKNOWN_LICENSE else record.license
    return file_name(record), record.title, known, record.attribution, record.source


def file_name(record: Record) -> str:
    """What a metadata file calls a GIF: its path in the source folder, or its address.

    A path of this machine is cut to the file's name.
    """
    place = record.places[0] if record.places else record.uri
    if is_web_address(place):
        return place
    is_absolute = PurePosixPath(place).is_absolute() or PureWindowsPath(place).is_absolute()
    return PureWindowsPath(place).name if is_absolute else place

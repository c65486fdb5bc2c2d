"""The list of what a build leaves out (`--leave-out`), which the library page can write.

One path, address or GIF id per line; blank lines and those that begin with # are ignored. A
path stands as in the source ("deep/cat.gif"), absolute, or relative to the working folder; it
leaves out that file. An id, or its first MIN_ID characters and more, leaves out every file with
those bytes. No file is moved or deleted: it is not indexed, that is all.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from retrieval.build.items import Item
from retrieval.errors import SourceError, reason_of
from retrieval.paths import why_not_regular

MIN_ID = 12  # hexadecimal digits, as many as messages show of an id
MAX_BYTES = 100_000_000  # a million ids and their titles

_ID = re.compile(rf"[0-9a-f]{{{MIN_ID},64}}")


class LeaveOut:
    """The lines of a list, and which of them have matched something."""

    def __init__(self, name: str, lines: list[str]):
        self.name = name  # of the list, for reports
        self._lines = list(dict.fromkeys(lines))
        self._matched: set[str] = set()
        self._by_place: dict[str, str] = {}  # an item's name or uri → the line
        self._by_id: dict[int, dict[str, str]] = {}  # length → first characters → the line
        for line in self._lines:
            self._by_place[line] = line
            if "://" not in line:
                folder, name = os.path.split(os.path.abspath(line))
                # As a folder's items are addressed: a link to a file is not followed.
                self._by_place[os.path.join(os.path.realpath(folder), name)] = line
            if _ID.fullmatch(line.lower()):
                self._by_id.setdefault(len(line), {})[line.lower()] = line

    @classmethod
    def read(cls, file: Path) -> LeaveOut:
        """Read a list; SourceError if there is none, or it is no UTF-8 text or names nothing."""
        try:
            facts = file.stat()
            if reason := why_not_regular(facts.st_mode):
                raise ValueError(reason)
            if facts.st_size > MAX_BYTES:
                raise ValueError(f"{facts.st_size:,} bytes; expected {MAX_BYTES:,} at most")
            rows = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, ValueError) as error:
            raise SourceError(
                f"--leave-out {file} cannot be read ({reason_of(error)}); expected a text in UTF-8 "
                f"with one path, address or GIF id per line."
            ) from error
        lines = [row for row in rows if row and not row.startswith("#")]
        if not lines:
            raise SourceError(
                f"--leave-out {file} names nothing; expected one path, address or GIF id per line. "
                f"Leave the option out to index everything."
            )
        return cls(file.name, lines)

    @property
    def reason(self) -> str:
        """Why an item is skipped, as reports give it."""
        return f"named in {self.name}; the file stays where it is"

    @property
    def unmatched(self) -> list[str]:
        """The lines that have matched nothing so far, in order."""
        return [line for line in self._lines if line not in self._matched]

    def names_item(self, item: Item) -> bool:
        """Whether a line is this item's name or place."""
        return self._match(self._by_place.get(item.name) or self._by_place.get(item.uri))

    def names_id(self, gif_id: str) -> bool:
        """Whether a line is this GIF's id, or the start of it."""
        return any(
            [self._match(lines.get(gif_id[:length])) for length, lines in self._by_id.items()]
        )

    def _match(self, line: str | None) -> bool:
        if line is None:
            return False
        self._matched.add(line)
        return True

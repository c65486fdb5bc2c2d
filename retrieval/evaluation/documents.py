"""The documents of judgements and runs: GIFs by id or by file name.

Judges write file names, which stay when a bundle is built anew; results have ids. Files with
the same bytes are one GIF with several names.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from retrieval.errors import JudgementError
from retrieval.library import Record, is_web_address


class DocumentNames:
    """The names of a bundle's GIFs."""

    def __init__(self, records: Sequence[Record]):
        self.records = {record.id: record for record in records}
        self._paths: dict[str, dict[str, str]] = {}  # file name → path → id
        for record in records:
            for path in _paths_of(record):
                self._paths.setdefault(posixpath.basename(path), {})[path] = record.id

    def __len__(self) -> int:
        return len(self.records)

    def has(self, gif_id: str) -> bool:
        return gif_id in self.records

    def resolve(self, name: str) -> str | None:
        """Return the id of the GIF with this id, URL, file name or end of a path, or None.

        JudgementError if several GIFs have the name.
        """
        if name in self.records:
            return name
        name = _path_of(name)
        paths = self._paths.get(posixpath.basename(name), {})
        found = {
            gif_id: path
            for path, gif_id in paths.items()
            if path == name or path.endswith(f"/{name.lstrip('/')}")
        }
        if len(found) > 1:
            raise JudgementError(
                f"{name} is the name of {len(found)} different GIFs: {', '.join(found.values())}. "
                f"Write more of the path."
            )
        return next(iter(found), None)

    def name_of(self, gif_id: str, judged: Mapping[str, int] | None = None) -> str:
        """Return a name to write to a run: the one that was judged, else the file name.

        The path where several GIFs have the file name; the id where there is neither, or
        where a line of a run could not hold the name.
        """
        if gif_id not in self.records:
            return gif_id
        names = [
            name
            for path in _paths_of(self.records[gif_id])
            for name in (posixpath.basename(path), path)
            if _is_writable(name) and len(set(self._ids_of(name))) == 1
        ]
        graded = [name for name in names if judged and name in judged]
        if graded:
            return max(graded, key=lambda name: (judged or {})[name])
        return names[0] if names else gif_id

    def _ids_of(self, name: str) -> Iterator[str]:
        for path, gif_id in self._paths.get(posixpath.basename(name), {}).items():
            if path == name or path.endswith(f"/{name}"):
                yield gif_id


def _paths_of(record: Record) -> Iterator[str]:
    for place in dict.fromkeys((*record.places, record.uri)):
        if place and not place.endswith("/"):
            yield _path_of(place)


def _path_of(place: str) -> str:
    """A path as it is, or the host and path of a URL."""
    if not is_web_address(place):
        return place
    parts = urlsplit(place)
    return unquote(f"{parts.netloc}{parts.path}")


def _is_writable(name: str) -> bool:
    return bool(name) and name == name.strip() and "\n" not in name and "\r" not in name

"""Where an index gets its items from: a folder, a list of files and addresses, a data set.

`open_source` takes a person's word for any of them. Lists are in lists.py, data sets
in dataset_rows.py; folders, the common case, are here.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from retrieval.catalog import DESCRIBED
from retrieval.errors import SourceError
from retrieval.frames import SUFFIXES
from retrieval.items import Item, LeftOut, Source, describe, suffix_of, title_of
from retrieval.lists import LIST_SUFFIXES, ListSource

__all__ = ["Item", "LeftOut", "Source", "open_source", "read_descriptions"]

DATASET = "dataset:"
DESCRIPTIONS = ("metadata.jsonl", "metadata.csv")


def open_source(spec: str | Path, *, split: str | None = None, limit: int | None = None) -> Source:
    """The source that `spec` names, opened but not yet read; at most `limit` items of it.

    A folder; a list (.txt, .csv, .jsonl, .ndjson, .parquet); or dataset:NAME_OR_FOLDER,
    of which `split` is read (without it: train, or the only one), dataset:NAME#CONFIG
    where it has several configurations. SourceError if there is no such thing, or
    nothing in it.
    """
    if isinstance(spec, str) and spec.startswith(DATASET):
        # imported here, for `datasets` takes over a second to import
        from retrieval.dataset_rows import DatasetSource

        return DatasetSource(spec[len(DATASET) :], split, limit)
    if split is not None:
        raise SourceError(f"{spec} has no splits, so not {split!r} either; only a data set has.")
    path = Path(spec)
    if path.is_dir():
        return FolderSource(path, limit)
    if path.is_file() and path.suffix.lower() in LIST_SUFFIXES:
        return ListSource(path, limit)
    what = "is no folder" if not path.is_file() else "is no folder and no list"
    raise SourceError(
        f"{spec} {what}. Give a folder with GIFs in it, a list of paths or addresses "
        f"({', '.join(LIST_SUFFIXES)}), or a data set ({DATASET}NAME)."
    )


class FolderSource(Source):
    """All media below a folder, in path order, with what its metadata file says of them.

    The metadata file is held in memory, for it may be in any order. One too large for
    that can be opened as a list itself. SourceError if there is nothing to index.
    """

    def __init__(self, folder: Path, limit: int | None = None):
        super().__init__(f"folder {folder.name or folder}", limit)
        self.folder = folder
        self.excluded = ""  # a folder inside that is no part of it: a bundle built there
        if next(_walk(folder), None) is None:
            raise _nothing_in(folder)
        self._described = read_descriptions(folder)

    def _count(self) -> int:
        return sum(1 for _ in _walk(self.folder, excluded=self.excluded))

    def _items(self) -> Iterator[Item]:
        root = self.folder.resolve()
        unseen = set(self._described)
        for name in _walk(self.folder, self._leave_out, excluded=self.excluded):
            try:
                name.encode()
            except UnicodeEncodeError:
                self._leave_out(ascii(name), "the file's name is not UTF-8; rename it")
                continue
            unseen.discard(name)
            described = describe(self._described.get(name, {}), title=title_of(name))
            path = root / name
            yield Item(name, str(path), described, path=path, suffix=suffix_of(name))
        for name in sorted(unseen):
            self._leave_out(f"metadata: {name}", "described, but not in the folder")


def _nothing_in(folder: Path) -> SourceError:
    return SourceError(
        f"No media in {folder}: expected files that end in {', '.join(SUFFIXES)}. "
        f"Give a folder with GIFs in it."
    )


def _walk(
    folder: Path,
    leave_out: Callable[[str, str], None] | None = None,
    prefix: str = "",
    *,
    excluded: str = "",
) -> Iterator[str]:
    """Names of the media below, relative, with slashes; folder by folder, so that no more
    than one folder's names are held. Links to folders are not followed: they may circle."""
    try:
        with os.scandir(folder / prefix) as entries:
            found = sorted((entry.name, entry) for entry in entries if entry.name[0] != ".")
    except OSError as error:
        if leave_out:
            leave_out(prefix or str(folder), f"cannot be opened ({error.strerror})")
        return
    for name, entry in found:
        if entry.is_dir(follow_symlinks=False):
            if prefix + name != excluded:
                yield from _walk(folder, leave_out, f"{prefix}{name}/", excluded=excluded)
        elif suffix_of(name) and entry.is_file():
            yield prefix + name


def read_descriptions(folder: Path) -> dict[str, dict[str, Any]]:
    """What metadata.jsonl or metadata.csv says, by file name relative to the folder.

    The layout is the one that Hugging Face calls `imagefolder`: a column `file_name`,
    and any of title, tags, emoji, source, license, attribution. Empty if the folder has
    neither file; SourceError if one cannot be read.
    """
    jsonl, table = (folder / name for name in DESCRIPTIONS)
    try:
        if jsonl.is_file():
            rows = [json.loads(line) for line in jsonl.read_text("utf-8").split("\n") if line]
        elif table.is_file():
            with table.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
        else:
            return {}
        return {row["file_name"]: describe(row) for row in rows}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{jsonl if jsonl.is_file() else table} cannot be read ({error!r}); expected a row "
            f"a file with file_name and any of {', '.join(DESCRIBED)}. Mend it, or move it away."
        ) from error

"""Sources of an index: `open_source`, and folders.

Lists of files and addresses are in lists.py, data sets in datasets.py.
"""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from retrieval.build.items import Item, Source, clean, describe, suffix_of, title_of
from retrieval.build.lists import LIST_SUFFIXES, Lines, ListSource
from retrieval.errors import SourceError, reason_of
from retrieval.library import DESCRIBED
from retrieval.media import SUFFIXES
from retrieval.paths import why_not_regular

DATASET = "dataset:"
DESCRIPTIONS = ("metadata.jsonl", "metadata.csv")
MAX_DESCRIPTIONS_BYTES = 250_000_000  # about a million rows, which take some GB of memory


def open_source(spec: str | Path, *, split: str | None = None, limit: int | None = None) -> Source:
    """The source that `spec` names, opened but not yet read; at most `limit` items of it.

    A folder; a list (.txt, .csv, .jsonl, .ndjson, .parquet); or dataset:NAME_OR_FOLDER,
    of which `split` is read (without it: train, or the only one), dataset:NAME#CONFIG
    where it has several configurations. SourceError if there is no such thing, or
    nothing in it.
    """
    if isinstance(spec, str) and spec.startswith(DATASET):
        # imported here, for `datasets` takes over a second to import
        from retrieval.build.datasets import DatasetSource

        return DatasetSource(spec[len(DATASET) :], split, limit)
    if split is not None:
        raise SourceError(f"{spec} has no splits, so not {split!r} either; only a data set has.")
    path = Path(spec)
    what = "is no folder and no list"
    try:
        mode = path.stat().st_mode
        str(path.resolve()).encode()  # every file's path begins with it, and goes into Parquet
    except (FileNotFoundError, NotADirectoryError):
        what = "is no folder"
    except UnicodeEncodeError:
        raise SourceError(f"The path {str(path)!a} is not UTF-8. Rename it.") from None
    except (OSError, ValueError) as error:  # a link to itself, a NUL in the name
        what = f"cannot be opened ({reason_of(error)})"
    else:
        if stat.S_ISDIR(mode):
            return FolderSource(path, limit)
        if stat.S_ISREG(mode) and path.suffix.lower() in LIST_SUFFIXES:
            return ListSource(path, limit)
    raise SourceError(
        f"{spec} {what}. Give a folder with GIFs in it, a list of paths or addresses "
        f"({', '.join(LIST_SUFFIXES)}), or a data set ({DATASET}NAME)."
    )


class FolderSource(Source):
    """All media below a folder, in path order, with their metadata file's descriptions.

    The metadata file is held in memory, for it may be in any order. One too large for
    that can be opened as a list itself. SourceError if there is nothing to index.
    """

    def __init__(self, folder: Path, limit: int | None = None):
        super().__init__(f"folder {folder.name or folder}", limit)
        self.folder = folder
        self.excluded = ""  # a folder inside that is no part of it: a bundle built there
        if next(_walk(folder, self._leave_out), None) is None:
            found = [f" {skipped.path}: {skipped.reason}." for skipped in self.left_out[:1]]
            raise SourceError(
                f"No media in {folder}: expected files that end in {', '.join(SUFFIXES)}."
                f"{''.join(found)} Give a folder with GIFs in it."
            )
        self.left_out, self.n_left_out = [], 0
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
            self._leave_out(f"metadata: {clean(name)}", "described, but not in the folder")


def _walk(
    folder: Path, leave_out: Callable[[str, str], None] | None = None, *, excluded: str = ""
) -> Iterator[str]:
    """Names of the media below, relative, with slashes; folder by folder, so that only the
    names of the folders on the way are held. Links to folders are not followed: they may
    circle; nor is the folder `excluded`."""
    leave_out = leave_out or (lambda where, reason: None)
    on_the_way = [_entries(folder, "", leave_out)]
    while on_the_way:
        entry, name = next(on_the_way[-1], (None, ""))
        if entry is None:
            on_the_way.pop()
        elif entry.is_dir(follow_symlinks=False):
            if name != excluded:
                on_the_way.append(_entries(folder, f"{name}/", leave_out))
        elif reason := _why_not_a_file(entry):
            leave_out(clean(name), reason)
        elif suffix_of(name):
            yield name


def _entries(
    folder: Path, prefix: str, leave_out: Callable[[str, str], None]
) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Sorted entries of a folder, with names relative to the source's folder."""
    try:
        with os.scandir(folder / prefix) as entries:
            found = sorted((entry.name, entry) for entry in entries if entry.name[0] != ".")
    except OSError as error:
        leave_out(clean(prefix or folder), f"cannot be opened ({error.strerror})")
        return
    for name, entry in found:
        yield entry, prefix + name


def _why_not_a_file(entry: os.DirEntry[str]) -> str:
    """The reason to skip an entry; "" for a regular file, or a link to one."""
    if entry.is_file(follow_symlinks=False):
        return ""
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    if stat.S_ISDIR(mode):
        return "a link to a folder; its files are not followed"
    return why_not_regular(mode)


def read_descriptions(folder: Path) -> dict[str, dict[str, Any]]:
    """Descriptions in metadata.jsonl or metadata.csv, by file name relative to the folder.

    The layout is the one that Hugging Face calls `imagefolder`: a column `file_name`,
    and any of title, tags, emoji, source, license, attribution. Empty if the folder has
    neither file; SourceError if one cannot be read.
    """
    file = next((f for name in DESCRIPTIONS if os.path.lexists(f := folder / name)), None)
    if file is None:
        return {}
    try:
        facts = file.stat()
        if reason := why_not_regular(facts.st_mode):
            raise ValueError(reason)
        if facts.st_size > MAX_DESCRIPTIONS_BYTES:
            raise ValueError(
                f"{facts.st_size:,} bytes, of which {MAX_DESCRIPTIONS_BYTES:,} may be held in "
                f"memory; the file itself can be given as the source"
            )
        with file.open("rb") as data:
            return _described(Lines(data), file.suffix)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{file} cannot be read ({reason_of(error)}); expected a row a file with file_name "
            f"and any of {', '.join(DESCRIBED)}. Mend it, or move it away."
        ) from error


def _described(lines: Lines, suffix: str) -> dict[str, dict[str, Any]]:
    """Descriptions by file name; ValueError with the invalid line."""
    found = {}
    filled = map(json.loads, filter(str.strip, lines))
    rows = filled if suffix == ".jsonl" else csv.DictReader(lines)
    try:
        for row in rows:
            if not isinstance(row, dict):
                raise ValueError(f"a {type(row).__name__}; expected {{…}} with file_name")
            name = row.get("file_name")
            if not isinstance(name, str):
                raise ValueError(f"file_name is {name!r:.60}; expected text")
            if lines.trouble:
                break
            found[name] = describe(row)
        if lines.trouble:
            raise ValueError(lines.trouble)
    except (ValueError, RecursionError, csv.Error) as error:
        reason = lines.trouble or reason_of(error)
        raise ValueError(f"line {lines.number}: {reason}") from error
    return found

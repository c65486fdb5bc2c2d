"""Write output folders without touching files of the user.

A command writes to a path that does not exist, to an empty folder, or to a folder that a
manifest identifies as its own. There, only files listed in that manifest are ever replaced or
deleted; all others are carried over to the new version.
"""

from __future__ import annotations

import ctypes
import errno
import filecmp
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

from retrieval.errors import OutputError, StorageError

# Relative names (with slashes) of the files that a command wrote to a folder, in the order of
# deletion: the manifest last. None if no command wrote the folder.
OwnedFiles = Callable[[Path], "Sequence[str] | None"]

_REMEDIES = {
    errno.ENOSPC: "Free some space, or name another --out",
    errno.EDQUOT: "Free some space, or name another --out",
    errno.EFBIG: "Allow larger files (ulimit -f), or name another --out",
    errno.EROFS: "Name an --out on a disk that can be written to",
    errno.EACCES: "Name an --out that you may write to",
    errno.EPERM: "Name an --out that you may write to",
}

# Marks a folder that a command is still writing; everything in it may be deleted.
MARKER = ".unfinished-clip-reaction-search"


def resolve_output(path: Path) -> Path:
    """The absolute path of a folder to write, with symbolic links followed.

    OutputError if it is a file, lies below one, is a link to itself, or is the working
    folder or one above it: that cannot be replaced without moving whoever works there.
    """
    try:
        str(path).encode()  # a name that is not UTF-8 cannot stand in a manifest
        resolved = path.resolve()
        if resolved.is_symlink():  # a loop, of which resolve() says nothing before Python 3.13
            raise OSError("a symbolic link to itself")
        if Path.cwd().is_relative_to(resolved):
            raise OutputError(
                f"{path} is the working folder, or one above it, and would be replaced. "
                f"Name a folder of its own, such as {resolved / 'index'}."
            )
        for place in (resolved, *resolved.parents):
            if os.path.lexists(place):
                if place.is_dir():
                    break
                raise OutputError(
                    f"{place} is a file; expected a folder, or a path that does not exist. "
                    f"Name another place: nothing was written."
                )
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition(":")[0]
        raise OutputError(
            f"{str(path)!a} cannot be used ({reason}). Name another folder."
        ) from error
    return resolved


def check_replaceable(folder: Path, owned: OwnedFiles, what: str) -> None:
    """OutputError unless the folder is absent, empty, or written by us (`what` names the kind)."""
    names = _names_in(folder)
    if not names or owned(folder) is not None:
        return
    listed = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    raise OutputError(
        f"{folder} holds files ({listed}) and is not {what}, so it is not replaced. Name a path "
        f"that does not exist or an empty folder, such as {free_path(folder)}. Nothing was written."
    )


def require_empty(folder: Path) -> None:
    """OutputError unless the folder is absent or empty."""
    if not folder.is_dir() and os.path.lexists(folder):
        raise OutputError(f"{folder} is a file or a link; expected an empty folder. Name another.")
    if _names_in(folder):
        raise OutputError(
            f"{folder} is not empty. Name an empty folder, or a path that does not exist. "
            f"Nothing was written."
        )


def suggest_output(folder: Path, owned: OwnedFiles) -> Path:
    """The folder itself if a command may write there, else a path beside it that is free."""
    try:
        check_replaceable(resolve_output(folder), owned, "")
    except OutputError:
        return free_path(folder)
    return folder


def free_path(folder: Path) -> Path:
    """A path beside the folder that does not exist: NAME-index, NAME-index-2, …"""
    name = folder.name or folder.resolve().name or "reactions"
    endings = chain([""], (f"-{number}" for number in count(2)))
    paths = (folder.parent / f"{name}-index{ending}" for ending in endings)
    return next(path for path in paths if not os.path.lexists(path))


def _names_in(folder: Path) -> list[str]:
    """Sorted names of a folder's entries; empty if it does not exist."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be read ({error.strerror}). Name another folder."
        ) from error


class StagedFolder:
    """Writes a new version of the folder at `out` beside it, and then replaces it atomically.

    Write to `path`. `commit` carries over files that are not in `owned`, exchanges the two
    folders in one step, and deletes the owned files of the old one. Left before that (it is a
    context manager), nothing has changed. Files below `kept`, a folder inside `out`, are
    carried over, too.

    OutputError if another folder is in the way, or a carried-over file has the name of a new one.
    """

    def __init__(self, out: Path, owned: OwnedFiles, *, kept: Path | None = None):
        self.out, self._owned = out, owned
        self._kept = kept.relative_to(out).as_posix() if kept else None
        self.path = out.with_name(f".{out.name}.partial")
        out.parent.mkdir(parents=True, exist_ok=True)
        recover(out, owned)
        self._make_way(self.path)
        self.path.mkdir()
        (self.path / MARKER).touch()

    def __enter__(self) -> StagedFolder:
        return self

    def __exit__(self, *raised: object) -> None:
        if (self.path / MARKER).exists():
            shutil.rmtree(self.path, ignore_errors=True)

    def commit(self) -> None:
        """Replace the folder at `out`."""
        if self.out.is_dir():
            self._bring_along()
        (self.path / MARKER).unlink()
        old = self.path
        if not (self.out.exists() and _exchange(self.path, self.out)):
            old = old_of(self.out)
            self._make_way(old)
            if self.out.exists():
                self.out.rename(old)
            self.path.rename(self.out)
        # The new folder is in place: what of the old one cannot go is no failure of this
        # commit. It is in the way of the next one, which says so.
        with suppress(OSError, OutputError):
            self._clear(old)

    def _bring_along(self) -> None:
        """Carry over the files that are not ours, and those below the kept folder."""
        owned = set(self._owned(self.out) or ())
        for name in _walk(self.out):
            is_kept = self._kept and f"{name}/".startswith(f"{self._kept}/")
            if name in owned and not is_kept:
                continue
            if _is_free(self.path, name):
                _link_or_copy(self.out, self.path, name)
            elif not _is_same(self.out / name, self.path / name):
                raise OutputError(
                    f"{self.out / name} is not a file of the index, and would be overwritten by "
                    f"one. Move it away, or name another folder. The old index is untouched."
                )

    def _make_way(self, folder: Path) -> None:
        if not self._clear(folder):
            raise OutputError(
                f"{folder} is in the way: new versions of {self.out} are written there first, and "
                f"it holds files that are not ours. Move it away."
            )

    def _clear(self, folder: Path) -> bool:
        """Delete what an earlier command left at this path; return whether the path is free."""
        if folder.is_dir() and not folder.is_symlink():
            if (folder / MARKER).is_file():
                shutil.rmtree(folder)
            elif (owned := self._owned(folder)) is not None:
                _remove(folder, owned, self.out)
            with suppress(OSError):
                folder.rmdir()
        return not os.path.lexists(folder)


@contextmanager
def storage_errors(out: Path) -> Iterator[None]:
    """Translate an OSError during the writing of `out` to a StorageError with a remedy."""
    try:
        yield
    except BrokenPipeError:  # of a reader that has seen enough, not of a disk
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        file = error.filename2 or error.filename  # of a copy, the one that was written
        where = f" ({file})" if file else ""
        remedy = _REMEDIES.get(error.errno or 0, "Mend that, or name another --out")
        old = "the old index is untouched" if os.path.exists(out) else "no index was written"
        raise StorageError(f"{out} cannot be written: {reason}{where}. {remedy}; {old}.") from error


def recover(out: Path, owned: OwnedFiles) -> None:
    """Restore the old folder if a command was killed between the two renames of a commit."""
    old = old_of(out)
    if old.is_dir() and not os.path.lexists(out) and owned(old) is not None:
        old.rename(out)


def old_of(out: Path) -> Path:
    """Where the old folder is between the two renames of a commit."""
    return out.with_name(f".{out.name}.old")


def _walk(folder: Path, *, folders_too: bool = False) -> Iterator[str]:
    """Relative names of all files and empty folders (or all folders); links are not followed.

    Folders come before their contents. Not recursive, as nesting may exceed Python's limit.
    """
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        if prefix and (folders_too or not found):
            yield prefix.rstrip("/")
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{prefix}{entry.name}/")
            elif entry.name != MARKER:
                yield prefix + entry.name


def _link_or_copy(old: Path, new: Path, name: str) -> None:
    source, target = old / name, new / name
    parent = str(new)
    for part in name.split("/")[:-1]:  # Path.mkdir(parents=True) recurses
        parent = os.path.join(parent, part)
        with suppress(FileExistsError):
            os.mkdir(parent)
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):  # no hard links on this file system or platform
        if not source.is_symlink() and not source.is_file():
            raise OutputError(
                f"{source} is no regular file, and cannot be kept. Move it away, or name another "
                f"folder. Nothing was changed."
            ) from None
        shutil.copy2(source, target, follow_symlinks=False)


def _is_free(folder: Path, name: str) -> bool:
    """Whether the name is unused in the folder, and no parent of it is a file."""
    try:
        os.lstat(folder / name)
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        pass
    return False


def _is_same(one: Path, other: Path) -> bool:
    """Whether two entries are one file, or have the same content."""
    if one.is_symlink() or other.is_symlink():
        both = one.is_symlink() and other.is_symlink()
        return both and os.readlink(one) == os.readlink(other)
    if one.is_dir() or other.is_dir():
        return one.is_dir() and other.is_dir()
    if not other.exists():  # a parent of it is a file
        return False
    if os.path.samefile(one, other):
        return True
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def _remove(folder: Path, owned: Sequence[str], successor: Path) -> None:
    """Delete owned files, and other files that the successor has as well.

    Files added after the successor was made are moved to it. Nothing is deleted if a file
    cannot be moved.
    """
    others = [name for name in _walk(folder) if name not in set(owned)]
    for name in others:
        if _is_free(successor, name):
            _link_or_copy(folder, successor, name)
    if not all(_is_same(folder / name, successor / name) for name in others):
        return
    *names, known_by = owned
    for name in [*others, *names]:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
            (folder / name).unlink()
    for name in reversed(list(_walk(folder, folders_too=True))):
        with suppress(OSError):  # a file, for one
            os.rmdir(folder / name)
    if os.listdir(folder) == [known_by]:
        (folder / known_by).unlink()


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders atomically (Linux: renameat2); return whether that worked.

    Two renames would leave a moment without a folder.
    """
    at_fdcwd, rename_exchange = -100, 2
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return bool(renameat2(at_fdcwd, paths[0], at_fdcwd, paths[1], rename_exchange) == 0)

"""Renditions on disk, by the hash of the source, within a budget of bytes.

    FOLDER/renditions/CACHEDIR.TAG                       marks the subfolder as this program's
    FOLDER/renditions/ab/abcd…-200.v1.rendition          of the GIF with that SHA-256
    FOLDER/renditions/ab/abcd…-200-mp4.v1.rendition      the same as MP4 (or gif)
    FOLDER/renditions/ab/abcd…-200-f3.v1.rendition       of its frame 3

A file begins with a checksum: a damaged one is made again. Nothing but files with such names is
ever deleted, and nothing in a subfolder without the mark. Several processes may share a store,
which may also be emptied at any time. Where nothing can be written, renditions are made and not
kept.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from retrieval.media import Limits, Stop, read_bytes
from retrieval.renditions.render import RENDER_LIMITS, VERSION, check_format, check_width
from retrieval.renditions.sandboxed import sandboxed_animation, sandboxed_still
from retrieval.sandbox import Sandbox

_FOLDER = "renditions"
_MARK = "CACHEDIR.TAG"  # backups leave such folders out: https://bford.info/cachedir/
_MARK_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Small renditions of GIFs, made by clip-reaction-search. May be deleted at any time.\n"
)
_NAME = re.compile(
    r"[0-9a-f]{64}-\d+(?:-f\d+|-mp4|-gif)?\.v\d+\.rendition(?P<partial>\.[0-9a-f]{16})?"
)
_MARKS = re.compile(rf"{re.escape(_MARK)}(?:\.[0-9a-f]{{16}})?")
_ID = re.compile(r"[0-9a-f]{64}")
_DIGEST_BYTES = 16
_ABANDONED_S = 600  # the age of a partial file whose writer has died
# Files are counted when this share of the budget has been written since the last time. If less
# than this share is free then, the least recently used ones are deleted down to _LOW_SHARE.
_RECOUNT_SHARE, _LOW_SHARE = 0.02, 0.9

_log = logging.getLogger(__name__)


class RenditionStore:
    """Renditions in a subfolder of `folder`, at most `budget_bytes` of them. Thread-safe.

    Nothing is created before the first rendition. Methods raise what rendering raises, never
    an OSError of the store.
    """

    def __init__(self, folder: Path, budget_bytes: int, sandbox: Sandbox | None = None):
        """Renditions are made in `sandbox`, by default that of this process."""
        self._sandbox = sandbox
        self._root = folder / _FOLDER
        self._budget_bytes = budget_bytes
        self._lock = threading.Lock()
        self._written: int | None = None  # bytes since files were counted; None: never counted
        self._has_warned = False
        self.n_stored = 0  # renditions that this object has stored

    def cached_animation(self, gif_id: str, width: int, format: str = "webp") -> bytes | None:
        """The stored rendition in this format, or the GIF itself if it is small enough."""
        return self._get(gif_id, _kind(width, format))

    def cached_still(self, gif_id: str, frame: int, width: int) -> bytes | None:
        """The stored WebP of a frame."""
        check_width(width)
        return self._get(gif_id, f"{width}-f{frame}")

    def animation(
        self,
        gif_id: str,
        source: Path | bytes,
        width: int,
        limits: Limits | None = None,
        stop: Stop | None = None,
        format: str = "webp",
    ) -> bytes:
        """`sandboxed_animation`, stored for the next time if `gif_id` is the hash of the source."""

        def render(data: bytes) -> bytes:
            return sandboxed_animation(data, width, limits, stop, format, self._sandbox)

        return self._render(gif_id, _kind(width, format), source, limits, render)

    def still(
        self,
        gif_id: str,
        source: Path | bytes,
        frame: int,
        width: int,
        limits: Limits | None = None,
        stop: Stop | None = None,
    ) -> bytes:
        """`sandboxed_still`, stored for the next time if `gif_id` is the hash of the source."""

        def render(data: bytes) -> bytes:
            return sandboxed_still(data, frame, width, limits, stop, self._sandbox)

        return self._render(gif_id, f"{width}-f{frame}", source, limits, render)

    def _render(
        self,
        gif_id: str,
        kind: str,
        source: Path | bytes,
        limits: Limits | None,
        render: Callable[[bytes], bytes],
    ) -> bytes:
        stored = self._get(gif_id, kind)
        if stored is not None:
            return stored
        data = read_bytes(source, limits or RENDER_LIMITS)
        rendition = render(data)
        # The catalogue of a bundle from somebody else may claim an id for another picture, and
        # a file may have changed since: neither may answer for the GIF of that id later.
        if hashlib.sha256(data).hexdigest() == gif_id:
            self._put(gif_id, kind, rendition)
        return rendition

    def _path(self, gif_id: str, kind: str) -> Path:
        return self._root / gif_id[:2] / f"{gif_id}-{kind}.v{VERSION}.rendition"

    def _get(self, gif_id: str, kind: str) -> bytes | None:
        if not _ID.fullmatch(gif_id):
            return None
        path = self._path(gif_id, kind)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        rendition = content[_DIGEST_BYTES:]
        if not rendition or _digest(rendition) != content[:_DIGEST_BYTES]:
            return None  # damaged: written over when it has been rendered again
        with suppress(OSError):
            os.utime(path)  # the time of last use
        return rendition

    def _put(self, gif_id: str, kind: str, rendition: bytes) -> None:
        path = self._path(gif_id, kind)
        size = _DIGEST_BYTES + len(rendition)
        if size > self._budget_bytes:
            return
        content = _digest(rendition) + rendition
        try:
            try:
                self._write(path, content)
            except FileNotFoundError:  # somebody emptied the store just now
                self._write(path, content)
            self.n_stored += 1
            self._keep_to_budget(size)
        except OSError as error:
            self._warn(error)

    def _write(self, path: Path, content: bytes) -> None:
        self._mark()
        path.parent.mkdir(exist_ok=True)
        partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise

    def _mark(self) -> None:
        """Create the subfolder with its mark. OSError if there is one that is somebody else's."""
        if self._is_marked():
            return
        self._root.mkdir(parents=True, exist_ok=True)
        foreign = [name for name in os.listdir(self._root) if not _MARKS.fullmatch(name)]
        if foreign and not self._is_marked():  # another process may have marked it just now
            raise FileExistsError(f"{self._root} has files that this program did not make")
        partial = self._root / f"{_MARK}.{secrets.token_hex(8)}"
        partial.write_text(_MARK_TEXT, encoding="utf-8")
        partial.replace(self._root / _MARK)

    def _is_marked(self) -> bool:
        try:
            return (self._root / _MARK).read_bytes() == _MARK_TEXT.encode()
        except FileNotFoundError:
            return False

    def _keep_to_budget(self, size: int) -> None:
        """Delete the least recently used files if there may be too many of them."""
        with self._lock:
            if self._written is not None:
                self._written += size
                if self._written < _RECOUNT_SHARE * self._budget_bytes:
                    return
            self._written = 0
            files = sorted(self._files())  # by time of use
            total = sum(file_bytes for _, file_bytes, _ in files)
            if total <= (1 - _RECOUNT_SHARE) * self._budget_bytes:
                return
            for _, file_bytes, path in files:
                if total <= _LOW_SHARE * self._budget_bytes:
                    break
                with suppress(FileNotFoundError):
                    path.unlink()
                total -= file_bytes

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """(time of last use in ns, bytes, path) of each rendition; abandoned files are deleted."""
        for folder in self._root.glob("[0-9a-f][0-9a-f]"):
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
                for entry in entries:
                    match = _NAME.fullmatch(entry.name)
                    if not match or not entry.is_file(follow_symlinks=False):
                        continue
                    with suppress(FileNotFoundError):
                        facts = entry.stat(follow_symlinks=False)
                        if not match["partial"]:
                            yield facts.st_mtime_ns, facts.st_size, Path(entry.path)
                        elif time.time() - facts.st_mtime > _ABANDONED_S:
                            os.unlink(entry.path)

    def _warn(self, error: OSError) -> None:
        with self._lock:
            if self._has_warned:
                return
            self._has_warned = True
        _log.warning("Renditions are not kept, but made again each time: %s", error)


def _kind(width: int, format: str) -> str:
    check_width(width)
    check_format(format)
    return f"{width}" if format == "webp" else f"{width}-{format}"


def _digest(rendition: bytes) -> bytes:
    return hashlib.blake2b(rendition, digest_size=_DIGEST_BYTES).digest()

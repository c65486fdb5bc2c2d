"""What a build has done so far, kept beside the bundle, so that none of it is done twice.

    .NAME.work/settings.json            what the work was done with
    .NAME.work/seen.parquet             the files of the last build, and what came of them
    .NAME.work/part-00000.parquet       frame embeddings of the unfinished build (a shard)
    .NAME.work/part-00000.seen.parquet  the files they came of; a part counts once this is there

A file is known by its name, size and time of change, an address by what its server
calls its version, so that nothing is read or fetched again that has not changed; its
content by its SHA-256. Losing this folder costs reading all files once more, no
embedding: those of the last build lie in the bundle.

Nothing damaged is used. A .seen.parquet or seen.parquet is Parquet with the SHA-256 of its
bytes behind it, checked before they are parsed; in a part's stands that of its shard. What
is not as it was written is removed, and named in `notes`; a folder that stands in the place
of a file is renamed, not deleted.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.errors import BundleError, reason_of
from retrieval.hub import check_sha256, sha256_of
from retrieval.library import GifFrames, ShardStore, write_shard
from retrieval.media import Facts

FORMAT_VERSION = 2  # of this folder; work in another is dropped. 2: with hashes

LOCK = "lock"
SETTINGS = "settings.json"
SEEN = "seen.parquet"
DOWNLOADS = "media"
FILES = re.compile(r"settings\.json|seen\.parquet|part-.*|.*\.partial")  # all but the lock
PART = re.compile(r"part-(\d+)\.seen\.parquet")

DIGEST_BYTES = 32
MAX_NAMED = 3  # damaged files that a note names

# A part is closed after this much: what a killed build loses, at most.
PART_SECONDS = 20.0
PART_FRAMES = 32_768

# A file changed so shortly before it was looked at might change again within the same tick
# of its clock, so that it is read again next time (as git does with its index).
RACY_NS = 2_000_000_000


@dataclass(frozen=True)
class Seen:
    """A file or an address, and what came of it: a GIF, or a reason to leave it out."""

    key: str  # absolute path or address; of a data set's row, its name
    gif_id: str = ""
    reason: str = ""
    size_bytes: int = -1  # with changed_ns: the version of a file
    changed_ns: int = -1
    etag: str = ""  # these two: of an address
    last_modified: str = ""
    n_frames: int = 0
    duration_ms: int = 0
    width: int = 0
    height: int = 0

    @property
    def facts(self) -> Facts:
        return Facts(self.n_frames, self.duration_ms, self.width, self.height)


_TYPES = {"str": pa.string(), "int": pa.int64()}
_SCHEMA = pa.schema([(f.name, _TYPES[str(f.type)]) for f in fields(Seen)])


class Journal:
    """The work folder of one bundle; one build at a time (a context manager).

    `settings` is what embeddings depend on. Unfinished work with other settings is
    dropped; with `fresh`, all of it is. `notes` says in sentences what was dropped.
    BundleError if another build is at it.
    """

    def __init__(
        self,
        out: Path,
        settings: Mapping[str, Any],
        *,
        dim: int | None = None,
        fresh: bool = False,
    ):
        self.folder = out.with_name(f".{out.name}.work")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.notes: list[str] = []
        self.seen: dict[str, Seen] = {}
        self.unfinished = ShardStore(dim)  # what a build that died had embedded
        self._damaged: dict[str, str] = {}  # file → what is wrong with it
        self._whole_downloads: set[str] = set()  # ids
        self._part = 0
        self._rows: list[Seen] = []
        self._gifs: list[GifFrames] = []
        self._n_frames = 0
        self._lock = self._take_lock(out)
        try:
            self._remove_misplaced()
            self._check_settings({"format": FORMAT_VERSION, **settings}, fresh)
            self._read()
        except BaseException:
            self._lock.close()
            raise
        self._note_damage()
        self._opened = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *raised: object) -> None:
        self._lock.close()  # and with it the lock

    def _take_lock(self, out: Path) -> IO[bytes]:
        file = self.folder / LOCK
        if not _is_regular(file):
            _remove(file)
        # O_NOFOLLOW: a link put here meanwhile would have another file opened, and emptied
        lock = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+b")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            if not isinstance(error, BlockingIOError):
                raise
            raise BundleError(
                f"Another build is writing {out}. Wait for it, or give another --out."
            ) from error
        return lock

    def _remove_misplaced(self) -> None:
        """Take folders, links and pipes away from where files are expected."""
        for path in sorted(self.folder.iterdir()):
            if path.name == DOWNLOADS and not path.is_dir():
                self._drop(path, "no folder")
            elif FILES.fullmatch(path.name) and not _is_regular(path):
                self._drop(path, "no regular file")
            elif path.name.endswith(".seen.parquet") and not PART.fullmatch(path.name):
                self._drop(path, "without a number")
        for folder in (self.folder, self.folder / DOWNLOADS):
            for path in folder.glob("*.partial"):  # of a build that was killed
                _remove(path)

    def _drop(self, path: Path, reason: str) -> None:
        _remove(path)
        self._damaged.setdefault(path.name, reason)

    def _note_damage(self) -> None:
        if self._damaged:
            shown = list(self._damaged.items())[:MAX_NAMED]
            named = "; ".join(f"{name}: {reason}" for name, reason in shown)
            more = len(self._damaged) - MAX_NAMED
            self.notes.append(
                f"{self.folder.name}, the work of earlier builds, is damaged ({named}"
                f"{f'; and {more:,} more' if more > 0 else ''}): what it held is done again."
            )

    def _check_settings(self, settings: dict[str, Any], fresh: bool) -> None:
        """Drop all work if it was done with other settings, and note it."""
        file = self.folder / SETTINGS
        had_work = any(PART.fullmatch(path.name) for path in self.folder.iterdir())
        known, damage = None, ""
        try:
            known = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            damage = "missing" if had_work else ""
        except (OSError, ValueError, RecursionError) as error:
            damage = f"cannot be read ({reason_of(error)})"
        if fresh:
            self._damaged = {}
        elif damage:
            self._drop(file, damage)
        elif had_work and known != settings:
            self.notes.append("The work of an unfinished build with other settings was dropped.")
        if fresh or known != settings:
            for path in self.folder.glob("*.parquet"):
                _remove(path)
            _write_whole(file, lambda path: path.write_text(json.dumps(settings), "utf-8"))

    def _read(self) -> None:
        lost: list[str] = []  # keys of parts whose shards cannot be used
        file = self.folder / SEEN
        if file.exists():
            try:
                self._know(read_seen(file)[0])
            except (OSError, ValueError) as error:
                self._drop(file, reason_of(error))
        found = (PART.fullmatch(path.name) for path in self.folder.iterdir())
        for number, name in sorted((int(part[1]), part.string) for part in found if part):
            self._part = number + 1
            file, shard = self.folder / name, self._shard(number)
            try:
                rows, shard_sha256 = read_seen(file)
            except (OSError, ValueError) as error:
                self._drop(file, reason_of(error))
                continue
            self._know(rows)
            try:
                if shard_sha256:
                    check_sha256(shard, shard_sha256)
                    self.unfinished.add(shard)
            except (OSError, ValueError, KeyError) as error:
                self._drop(shard, reason_of(error))
                _remove(file)
                lost += [row.key for row in rows]
        # written again with the next part; what is left of each is at least its reason
        self._rows = [self.seen[key] for key in dict.fromkeys(lost)]

    def _know(self, rows: Iterable[Seen]) -> None:
        self.seen.update((row.key, row) for row in rows)

    def _shard(self, number: int) -> Path:
        return self.folder / f"part-{number:05}.parquet"

    def add(self, seen: Seen, frames: GifFrames | None = None) -> None:
        """Note what came of a file; written to disk with the next part."""
        self.seen[seen.key] = seen
        self._rows.append(seen)
        if frames is not None:
            self._gifs.append(frames)
            self._n_frames += len(frames)
        late = time.monotonic() - self._opened >= PART_SECONDS
        if late or self._n_frames >= PART_FRAMES or len(self._rows) >= PART_FRAMES:
            self.flush()

    def flush(self) -> None:
        """Close the part that is open."""
        if self._rows:
            shard_sha256 = ""
            if self._gifs:
                dim = self._gifs[0].vectors.shape[1]
                shard = self._shard(self._part)
                _write_whole(shard, lambda path: write_shard(self._gifs, dim, path))
                shard_sha256 = sha256_of(shard)
                self.unfinished.add(shard)
            file = self.folder / f"part-{self._part:05}.seen.parquet"
            _write_whole(file, lambda path: write_seen(self._rows, path, shard_sha256))
            self._part += 1
            self._rows, self._gifs, self._n_frames = [], [], 0
        self._opened = time.monotonic()

    def keep_download(self, gif_id: str, data: bytes) -> None:
        """Keep bytes that came over the network until the bundle has them."""
        folder = self.folder / DOWNLOADS
        folder.mkdir(exist_ok=True)
        if not self.download(gif_id):
            _remove(folder / gif_id)
            _write_whole(folder / gif_id, lambda path: path.write_bytes(data))
            self._whole_downloads.add(gif_id)

    def download(self, gif_id: str) -> Path | None:
        """The file of a kept download, if there is one and it is whole."""
        file = self.folder / DOWNLOADS / gif_id
        if gif_id not in self._whole_downloads:
            if not _is_regular(file) or sha256_of(file) != gif_id:
                return None
            self._whole_downloads.add(gif_id)
        return file

    def close(self, current: Iterable[str]) -> None:
        """The build is done: remember the `current` keys alone, and drop the parts.

        The bundle is in place by then, so that what cannot be written is a note, no error.
        """
        rows = [self.seen[key] for key in current if key in self.seen]
        try:
            _write_whole(self.folder / SEEN, lambda path: write_seen(rows, path))
            for path in self.folder.glob("part-*"):
                path.unlink()
        except OSError as error:
            self.notes.append(
                f"{self.folder.name} cannot be written ({reason_of(error)}), so that the next "
                f"build reads all files once more."
            )
        shutil.rmtree(self.folder / DOWNLOADS, ignore_errors=True)


def version_of(path: Path) -> tuple[int, int]:
    """(bytes, time of change in ns) of a file; the time is -1 if it is too recent to trust."""
    stat = path.stat()
    recent = time.time_ns() - stat.st_mtime_ns < RACY_NS
    return stat.st_size, -1 if recent else stat.st_mtime_ns


def write_seen(rows: Iterable[Seen], path: Path, shard_sha256: str = "") -> None:
    """Write rows, the SHA-256 of the shard that belongs to them, and that of it all."""
    schema = _SCHEMA.with_metadata({"shard_sha256": shard_sha256})
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema=schema), buffer)
    data = buffer.getvalue()
    with path.open("wb") as file:
        file.write(data)
        file.write(hashlib.sha256(data).digest())


def read_seen(path: Path) -> tuple[list[Seen], str]:
    """(rows, SHA-256 of their shard or ""); ValueError if it is not as it was written."""
    data = memoryview(path.read_bytes())
    data, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("not the file that was written")
    table = pq.read_table(pa.BufferReader(data))
    rows = [Seen(**row) for batch in table.to_batches() for row in batch.to_pylist()]
    return rows, table.schema.metadata[b"shard_sha256"].decode()


def _is_regular(path: Path) -> bool:
    """Whether it is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    """Delete a file or a link, if there is one; a folder, which no build made, is renamed."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    number = 1
    while os.path.lexists(aside := path.with_name(f"damaged-{number}-{path.name}.d")):
        number += 1
    path.rename(aside)


def _write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name, and rename it once it is safely on the disk."""
    # of this thread, for two may keep the same download
    partial = file.with_name(f"{file.name}.{threading.get_ident()}.partial")
    try:
        write(partial)
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.rename(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise

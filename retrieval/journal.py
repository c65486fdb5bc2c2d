"""What a build has done so far, kept beside the bundle, so that none of it is done twice.

    .NAME.work/settings.json            what the work was done with
    .NAME.work/seen.parquet             the files of the last build, and what came of them
    .NAME.work/part-00000.parquet       frame embeddings of the unfinished build (a shard)
    .NAME.work/part-00000.seen.parquet  the files they came of; a part counts once this is there

A file is known by its name, size and time of change, an address by what its server
calls its version, so that nothing is read or fetched again that has not changed; its
content by its SHA-256. Losing this folder costs reading all files once more, no
embedding: those of the last build lie in the bundle.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.catalog import Facts
from retrieval.embeddings import GifFrames, ShardStore, write_shard
from retrieval.errors import BundleError

SETTINGS = "settings.json"
SEEN = "seen.parquet"
DOWNLOADS = "media"

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
    dropped, and `dropped` says so; with `fresh`, all of it is. BundleError if another
    build is at it.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], *, fresh: bool = False):
        out.parent.mkdir(parents=True, exist_ok=True)
        self.folder = out.with_name(f".{out.name}.work")
        self.folder.mkdir(exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise BundleError(
                f"Another build is writing {out}. Wait for it, or give another --out."
            ) from error
        self.dropped = self._check_settings(dict(settings), fresh)
        self.seen: dict[str, Seen] = {}
        self.unfinished = ShardStore()  # what a build that died had embedded
        self._part = 0
        self._rows: list[Seen] = []
        self._gifs: list[GifFrames] = []
        self._n_frames = 0
        self._opened = time.monotonic()
        self._read()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *raised: object) -> None:
        self._lock.close()  # and with it the lock

    def _check_settings(self, settings: dict[str, Any], fresh: bool) -> bool:
        """Whether work was dropped because it was done with other settings."""
        file = self.folder / SETTINGS
        try:
            known = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = None
        had_work = any(self.folder.glob("part-*.seen.parquet"))
        if fresh or known != settings:
            for path in self.folder.glob("*.parquet"):
                path.unlink()
            _write_whole(file, lambda path: path.write_text(json.dumps(settings), "utf-8"))
        return had_work and known != settings

    def _read(self) -> None:
        files = [self.folder / SEEN] if (self.folder / SEEN).is_file() else []
        for file in sorted(self.folder.glob("part-*.seen.parquet")):
            number = int(file.name[5:10])
            shard = self._shard(number)
            if shard.is_file():
                self.unfinished.add(shard)
            self._part = number + 1
            files.append(file)
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches():
                for row in batch.to_pylist():
                    self.seen[row["key"]] = Seen(**row)

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
            if self._gifs:
                dim = self._gifs[0].vectors.shape[1]
                shard = self._shard(self._part)
                _write_whole(shard, lambda path: write_shard(self._gifs, dim, path))
                self.unfinished.add(shard)
            file = self.folder / f"part-{self._part:05}.seen.parquet"
            _write_whole(file, lambda path: _write_seen(self._rows, path))
            self._part += 1
            self._rows, self._gifs, self._n_frames = [], [], 0
        self._opened = time.monotonic()

    def keep_download(self, gif_id: str, data: bytes) -> None:
        """Keep bytes that came over the network until the bundle has them."""
        folder = self.folder / DOWNLOADS
        folder.mkdir(exist_ok=True)
        if not (folder / gif_id).is_file():
            _write_whole(folder / gif_id, lambda path: path.write_bytes(data))

    def download(self, gif_id: str) -> Path:
        return self.folder / DOWNLOADS / gif_id

    def close(self, current: Iterable[str]) -> None:
        """The build is done: remember the `current` keys alone, and drop the parts."""
        rows = [self.seen[key] for key in current if key in self.seen]
        _write_whole(self.folder / SEEN, lambda path: _write_seen(rows, path))
        for path in self.folder.glob("part-*"):
            path.unlink()
        shutil.rmtree(self.folder / DOWNLOADS, ignore_errors=True)


def version_of(path: Path) -> tuple[int, int]:
    """(bytes, time of change in ns) of a file; the time is -1 if it is too recent to trust."""
    stat = path.stat()
    recent = time.time_ns() - stat.st_mtime_ns < RACY_NS
    return stat.st_size, -1 if recent else stat.st_mtime_ns


def _write_seen(rows: Iterable[Seen], path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema=_SCHEMA), path)


def _write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name, and rename it once it is safely on the disk."""
    partial = file.with_name(f"{file.name}.partial")
    write(partial)
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.rename(file)

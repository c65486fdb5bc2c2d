"""State of a build, in a SQLite database beside the bundle, so that no work is repeated.

    .NAME.work/state.sqlite  what earlier builds read, and embeddings of an unfinished build
    .NAME.work/media/        downloads that no bundle holds yet, named by their SHA-256
    .NAME.work/lock          held while a build runs

A file is identified by path, size and modification time, an address by its server's
validators (ETag, Last-Modified), content by its SHA-256. Deleting the folder costs one
reading of all files, but no embedding: those of the last build are in the bundle.

Damaged state is never used. SQLite checks its own structure; each row carries a digest of
its values, which is checked when the database is opened and again when embeddings are read.
Whatever fails is dropped and named in `notes`; a folder in the place of a file is renamed.
The rollback journal (not WAL) has each vector written once: new pages need no journal.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from retrieval.build.work_folder import KeptDownloads, is_regular, remove
from retrieval.errors import BundleError
from retrieval.library import GifFrames, ShardStore
from retrieval.media import Facts, PictureText

FORMAT_VERSION = 4  # of the folder. 4: words in pictures; 2: Parquet files, which are deleted

LOCK = "lock"
STATE = "state.sqlite"
JOURNAL = f"{STATE}-journal"  # SQLite's own, while a transaction is open
DOWNLOADS = "media"
OLD_FORMATS = re.compile(r"settings\.json|seen\.parquet|part-\d+(\.seen)?\.parquet|.*\.partial")

# A transaction is committed after this much: what a killed build loses, at most.
COMMIT_S = 5.0
COMMIT_FRAMES = 32_768
COMMIT_BYTES = COMMIT_FRAMES * 4 * 1_024  # about, of embeddings with 1,024 dimensions

# A file modified this recently may change again within one tick of its file system's clock,
# so it is read again next time (git treats its index the same way).
RACY_NS = 2_000_000_000


@dataclass(frozen=True)
class FileState:
    """A version of a file or an address, and its outcome: a GIF, or a reason to skip it."""

    key: str  # absolute path, address, or the name of a data set's row
    gif_id: str = ""
    reason: str = ""
    size_bytes: int = -1  # this and the next: version of a file
    modified_ns: int = -1
    etag: str = ""  # this and the next: version of an address
    last_modified: str = ""


_FILE_COLUMNS = ", ".join(field.name for field in fields(FileState))
_FACT_COLUMNS = "n_frames, duration_ms, width, height, texts"  # texts as JSON
_GIF_COLUMNS = f"gif_id, {_FACT_COLUMNS}, frame_indices, times_ms, vectors"
_DTYPES = ("<i4", "<i4", "<f4")  # of the last three
_SCHEMA = {
    "settings": "CREATE TABLE settings (value)",
    "files": f"CREATE TABLE files ({_FILE_COLUMNS}, digest, PRIMARY KEY (key))",
    "gifs": f"CREATE TABLE gifs ({_GIF_COLUMNS}, digest, PRIMARY KEY (gif_id))",
}


class BuildState:
    """The work folder of one bundle, for one build at a time (a context manager).

    Work that was done with other `settings` is dropped; with `fresh`, all of it is. `notes`
    lists in sentences what was dropped. The database belongs to the thread that opened it;
    downloads may be kept from any thread. BundleError if another build holds the lock.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], *, fresh: bool = False):
        self.folder = out.with_name(f".{out.name}.work")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.notes: list[str] = []
        self.unfinished: dict[str, Facts] = {}  # by id: GIFs that no bundle holds yet
        self.downloads = KeptDownloads(self.folder / DOWNLOADS)
        self._n_frames = 0  # since the last commit
        self._settings = json.dumps({"format": FORMAT_VERSION, **settings}, sort_keys=True)
        if not is_regular(self.folder / LOCK):
            remove(self.folder / LOCK)
        self._lock = FileLock(self.folder / LOCK, timeout=0)  # follows no symbolic link
        try:
            self._lock.acquire()
        except Timeout as error:
            raise BundleError(
                f"Another build is writing {out}. Wait for it, or give another --out."
            ) from error
        try:
            damage = self._remove_misplaced()
            with self._as_os_errors():
                self._db = self._open(damage, fresh)
        except BaseException:
            self._lock.release()
            raise
        if damage and not fresh:
            named = "; ".join(f"{name}: {reason}" for name, reason in damage.items())
            self.notes.append(
                f"{self.folder.name}, the work of earlier builds, is damaged ({named}): what it "
                f"held is done again."
            )
        self._committed = time.monotonic()

    def __enter__(self) -> BuildState:
        return self

    def __exit__(self, *raised: object) -> None:
        with suppress(sqlite3.Error):  # an interrupted build keeps what it has
            self._db.commit()
        self._db.close()
        self._lock.release()

    def _remove_misplaced(self) -> dict[str, str]:
        """Move folders, links and pipes out of the places of files: name → reason."""
        damage = {}
        for name in (STATE, JOURNAL, DOWNLOADS):
            path = self.folder / name
            is_right = path.is_dir() if name == DOWNLOADS else is_regular(path)
            if os.path.lexists(path) and not is_right:
                remove(path)
                damage[name] = "no folder" if name == DOWNLOADS else "no regular file"
        for path in self.folder.iterdir():
            if OLD_FORMATS.fullmatch(path.name) and is_regular(path):
                path.unlink()
        return damage

    def _open(self, damage: dict[str, str], fresh: bool) -> sqlite3.Connection:
        """The database, created anew if it is damaged, of other settings, or not wanted."""
        file = self.folder / STATE
        if file.exists() and not fresh:
            db = _connect(file)
            try:
                self._check(db, damage)
                return db
            except (sqlite3.Error, ValueError) as error:
                db.close()
                if "locked" in str(error):
                    raise
                if str(error):
                    damage[STATE] = str(error)
            self.unfinished.clear()
        for name in (STATE, JOURNAL):
            remove(self.folder / name)
        db = _connect(file)
        try:
            for statement in _SCHEMA.values():
                db.execute(statement)
            db.execute("INSERT INTO settings VALUES (?)", (self._settings,))
            db.commit()
        except BaseException:
            db.close()
            raise
        return db

    def _check(self, db: sqlite3.Connection, damage: dict[str, str]) -> None:
        """Check everything once, and delete damaged rows.

        ValueError if the whole database is to be dropped: its text is the damage, "" if it is
        only that the settings are other ones.
        """
        (result,), *_ = db.execute("PRAGMA integrity_check(1)")
        if result != "ok":
            raise ValueError(str(result).splitlines()[-1])
        if db.execute("SELECT value FROM settings").fetchall() != [(self._settings,)]:
            if db.execute("SELECT 1 FROM gifs").fetchone():
                self.notes.append(
                    "The work of an unfinished build with other settings was dropped."
                )
            raise ValueError
        tables = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        if dict(db.execute(tables)) != _SCHEMA:
            raise ValueError("not the tables of this version")
        damaged = []
        for table in ("files", "gifs"):
            for rowid, *values, digest in db.execute(f"SELECT rowid, * FROM {table}"):
                if digest != _digest(values):
                    damaged.append((table, rowid))
                elif table == "gifs":
                    self.unfinished[values[0]] = _facts_of(*values[1:6])
        for table, rowid in damaged:
            db.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))
        if damaged:
            db.commit()
            damage[STATE] = f"wrong digest in {len(damaged):,} of its rows"

    def get(self, key: str) -> FileState | None:
        """What an earlier build, or this one, found out about a file or an address."""
        query = f"SELECT {_FILE_COLUMNS} FROM files WHERE key = ?"
        with self._as_os_errors():
            row = self._db.execute(query, (key,)).fetchone()
        return FileState(*row) if row else None

    def add(
        self, state: FileState, frames: GifFrames | None = None, facts: Facts | None = None
    ) -> None:
        """Record the outcome of a file, with its embeddings if they are new.

        They are committed within COMMIT_S.
        """
        with self._as_os_errors():
            self._insert("files", astuple(state))
            if frames is not None and facts is not None:
                arrays = (frames.frame_indices, frames.times_ms, frames.vectors)
                ordered = map(np.ascontiguousarray, arrays, _DTYPES)
                blobs = (array.tobytes() for array in ordered)
                texts = json.dumps([asdict(text) for text in facts.texts], ensure_ascii=False)
                numbers = (facts.n_frames, facts.duration_ms, facts.width, facts.height)
                self._insert("gifs", (frames.gif_id, *numbers, texts, *blobs))
                self.unfinished[frames.gif_id] = facts
                self._n_frames += len(frames)
        if self._n_frames >= COMMIT_FRAMES or time.monotonic() - self._committed >= COMMIT_S:
            self.commit()

    def _insert(self, table: str, values: tuple[Any, ...]) -> None:
        marks = ", ".join("?" * (len(values) + 1))
        self._db.execute(
            f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*values, _digest(values))
        )

    def commit(self) -> None:
        """Make everything added so far survive a crash."""
        with self._as_os_errors():
            self._db.commit()
        self._n_frames, self._committed = 0, time.monotonic()

    def frames_of(self, gif_id: str, finished: ShardStore) -> GifFrames:
        """Embeddings of a GIF: from here, or `finished` ones from the last build's bundle.

        OSError if those here were changed since they were checked.
        """
        if gif_id not in self.unfinished:
            return finished[gif_id]
        query = "SELECT * FROM gifs WHERE gif_id = ?"
        with self._as_os_errors():
            row: tuple[Any, ...] | None = self._db.execute(query, (gif_id,)).fetchone()
        *values, digest = row or (None,)
        if digest != _digest(values):
            raise OSError(f"{self.folder / STATE} was changed during the build. Run it again")
        indices, times, vectors = map(np.frombuffer, values[6:], _DTYPES)
        return GifFrames(gif_id, indices, times, vectors.reshape(len(indices), -1))

    def finish(self, keys: Iterable[str]) -> None:
        """Keep the state of these keys only; the bundle now holds all embeddings.

        A failure is a note, not an error: the bundle is in place.
        """
        try:
            with self._as_os_errors():
                self._keep_only(keys)
        except OSError as error:
            self.notes.append(
                f"{self.folder.name} cannot be written ({error.strerror or error}), so that the "
                f"next build reads all files once more."
            )
        shutil.rmtree(self.folder / DOWNLOADS, ignore_errors=True)

    def _keep_only(self, keys: Iterable[str]) -> None:
        db = self._db
        db.execute("CREATE TEMP TABLE kept (key PRIMARY KEY)")
        db.executemany("INSERT OR IGNORE INTO kept VALUES (?)", ((key,) for key in keys))
        db.execute("DELETE FROM files WHERE key NOT IN kept")
        db.execute("DELETE FROM gifs")
        db.commit()
        (n_free,), (n_pages,) = (
            db.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_count")
        )
        if n_free > n_pages // 4:
            db.execute("VACUUM")

    @contextmanager
    def _as_os_errors(self) -> Iterator[None]:
        """Raise an error of SQLite as the OSError behind it, which SQLite does not tell.

        It is found by writing a plain file in the same place: of the same size, and where that can
        be done, of the size that the file may grow to before the next commit.
        """
        try:
            yield
        except sqlite3.Error as error:
            file = self.folder / STATE
            probe = file.with_suffix(".partial")
            if "full" in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from error
            try:
                with probe.open("wb") as plain:
                    size = file.stat().st_size if file.exists() else 0
                    for place in (size, size + COMMIT_BYTES):
                        plain.seek(place)
                        plain.write(bytes(1 << 16))
                        plain.flush()
            finally:
                with suppress(OSError):
                    probe.unlink()
            raise OSError(f"{file}: {error}") from error


def version_of(path: Path) -> tuple[int, int]:
    """(size in bytes, modification time in ns); the time is -1 if too recent to be trusted."""
    facts = path.stat()
    is_recent = time.time_ns() - facts.st_mtime_ns < RACY_NS
    return facts.st_size, -1 if is_recent else facts.st_mtime_ns


def _connect(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file)
    # A build has the file for itself; a damaged file may hold anything.
    for pragma in ("locking_mode = EXCLUSIVE", "trusted_schema = OFF", "cell_size_check = ON"):
        db.execute(f"PRAGMA {pragma}")
    return db


def _facts_of(n_frames: int, duration_ms: int, width: int, height: int, texts: str) -> Facts:
    read = [PictureText(**{**text, "box": tuple(text["box"])}) for text in json.loads(texts)]
    return Facts(n_frames, duration_ms, width, height, tuple(read))


def _digest(values: Iterable[Any]) -> bytes:
    """Digest of a row: of its numbers and texts with their types, and of its blobs."""
    digest = hashlib.blake2b(digest_size=16)
    for value in values:
        if isinstance(value, bytes):
            digest.update(b"%d:" % len(value))
            digest.update(value)
        else:
            digest.update(repr(value).encode())
    return digest.digest()

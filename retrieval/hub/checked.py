"""What is known of files on this machine: the SHA-256 that each had when it was last read whole.

A file is known by its path, size, times of modification and of change, and inode: whatever
changes its bytes changes one of these, also where the time of modification is set back. One
SQLite database in the user's cache serves all bundles, snapshots of the Hub and exports, and all
processes. It only spares reading: where it is damaged, locked or cannot be written, files are
read again, and nothing else happens.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from retrieval.paths import user_cache

FILE = "checked.sqlite"
MARK = 0x52534348  # application_id, "RSCH": a file without it is not ours to read
WAIT_S = 5.0  # for another process that writes
_SCHEMA = (
    "CREATE TABLE folders (number INTEGER PRIMARY KEY, path TEXT UNIQUE)",
    "CREATE TABLE files (folder INTEGER, name TEXT, size INTEGER, modified_ns INTEGER, "
    "changed_ns INTEGER, inode INTEGER, sha256 TEXT, PRIMARY KEY (folder, name)) WITHOUT ROWID",
)


@dataclass(frozen=True)
class FileFacts:
    """What distinguishes one content of a file from another without reading it."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, facts: os.stat_result) -> FileFacts:
        # SQLite's integers are signed, and some file systems number by 64 bits.
        inode = facts.st_ino & 0x7FFF_FFFF_FFFF_FFFF
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, inode)


Known = tuple[FileFacts, str]  # what a file was, and the SHA-256 that it had then


def known_files(folder: Path) -> dict[str, Known]:
    """Return what is known of the files in a folder, by relative name."""
    found: dict[str, Known] = {}
    with suppress(sqlite3.Error, OSError, ValueError, TypeError, RuntimeError), _open() as db:
        rows = db.execute(
            "SELECT name, size, modified_ns, changed_ns, inode, sha256 FROM files "
            "JOIN folders ON number = folder WHERE path = ?",
            (_key(folder),),
        )
        for name, *facts, sha256 in rows:
            found[str(name)] = FileFacts(*facts), str(sha256)
    return found


def remember(folder: Path, files: Mapping[str, Known]) -> None:
    """Keep what was found of files in a folder; what is known of folders that are gone goes.

    A damaged store is replaced. Nothing is raised: what is not kept is read again.
    """
    if not files:
        return
    for _ in range(2):
        try:
            with _open(writing=True) as db:
                _write(db, _key(folder), files)
            return
        except (sqlite3.OperationalError, UnicodeError, OSError, RuntimeError):
            return  # locked, read-only, full; a name that is not UTF-8; no home
        except (sqlite3.Error, ValueError):
            for name in (FILE, f"{FILE}-journal"):
                with suppress(OSError):
                    (user_cache() / name).unlink()


def _write(db: sqlite3.Connection, key: str, files: Mapping[str, Known]) -> None:
    db.execute("BEGIN IMMEDIATE")
    for number, path in db.execute("SELECT number, path FROM folders").fetchall():
        if not os.path.isdir(path):
            db.execute("DELETE FROM files WHERE folder = ?", (number,))
            db.execute("DELETE FROM folders WHERE number = ?", (number,))
    db.execute("INSERT OR IGNORE INTO folders (path) VALUES (?)", (key,))
    (number,) = db.execute("SELECT number FROM folders WHERE path = ?", (key,)).fetchone()
    db.executemany(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (number, name, f.size, f.modified_ns, f.changed_ns, f.inode, sha256)
            for name, (f, sha256) in files.items()
        ),
    )
    db.execute("COMMIT")


@contextmanager
def _open(*, writing: bool = False) -> Iterator[sqlite3.Connection]:
    """The database; ValueError if another program wrote the file, or another version."""
    file = user_cache() / FILE
    if writing:
        file.parent.mkdir(parents=True, exist_ok=True)
    elif not file.is_file():
        raise FileNotFoundError(file)
    uri = f"{file.absolute().as_uri()}?mode={'rwc' if writing else 'ro'}"
    with closing(sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None)) as db:
        # Without waiting for the disk: what a power cut damages is read again.
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "synchronous = OFF"):
            db.execute(f"PRAGMA {pragma}")
        if writing and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            _create(db)
        tables = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        (mark,) = db.execute("PRAGMA application_id").fetchone()
        if mark != MARK or tuple(sql for (sql,) in tables) != _SCHEMA:
            raise ValueError("not the tables of this version")
        yield db


def _create(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    if not db.execute("SELECT 1 FROM sqlite_master").fetchone():  # by another process meanwhile
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {MARK}")
    db.execute("COMMIT")


def _key(folder: Path) -> str:
    """The folder's real path; UnicodeError if its name is not UTF-8."""
    key = os.path.realpath(folder)
    key.encode()
    return key

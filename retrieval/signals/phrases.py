"""Names and words by letter: SQLite's full-text index (FTS5), and how alike two texts are.

Finds the GIF whose words are quoted, and answers `"must be there"` and `-must-not`.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from retrieval.errors import BundleError

FILE = "texts.sqlite"
MAX_WORDS = 24  # of a message that are looked up
MAX_RARE, MAX_GIFS = 6, 1_000  # words that are searched for, and how many GIFs may have each
MAX_IDLE = 4  # connections that are kept open
LONG = 8  # trigrams of a text that a message may contain as a part
CONTAINED = 0.9  # how alike the two are then
# For the search engine of a static site, which looks up in the same way.
LETTER_CONSTANTS = {
    "max_words": MAX_WORDS,
    "max_rare": MAX_RARE,
    "max_gifs": MAX_GIFS,
    "long": LONG,
    "contained": CONTAINED,
}
_TABLES = {
    "texts": "CREATE VIRTUAL TABLE texts USING fts5(name, words, content='', "
    "tokenize = \"unicode61 remove_diacritics 2 tokenchars ''''\")",
    "vocabulary": "CREATE VIRTUAL TABLE vocabulary USING fts5vocab(texts, 'row')",
}
_PARTS = {f"texts_{name}" for name in ("data", "idx", "docsize", "config")}  # FTS5's own tables
_WORD = re.compile(r"[\w']+")
_NO_LETTER = re.compile(r"[\W_]+")


class Phrases:
    """The full-text index of a bundle, opened read-only; safe to share between threads.

    Connections are kept open: each new one has to open the file and read its first pages.
    BundleError, from any method, if the file is damaged.
    """

    def __init__(self, file: Path, n: int):
        """`n` is the number of GIFs. The file may be somebody else's: its tables must be ours."""
        self._file, self._n = file.resolve(), n
        self._idle: list[sqlite3.Connection] = []
        self._version = _version(self._file)
        self._first: sqlite3.Connection | None = None  # never searched: copies are made of it
        self._copying = threading.Lock()
        with self._open() as db:
            found = dict(db.execute("SELECT name, sql FROM sqlite_master"))
        if {name: found.pop(name, "") for name in _TABLES} != _TABLES or found.keys() != _PARTS:
            raise BundleError(f"{FILE} has not the tables of a full-text index")
        self._first = self._idle.pop()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = None
        try:
            with suppress(IndexError):
                db = self._idle.pop()
            db = db or self._connect()
            yield db
        except (sqlite3.Error, UnicodeError) as error:
            raise BundleError(f"{FILE} of this library is damaged ({error}).") from error
        finally:
            if db and len(self._idle) < MAX_IDLE:
                self._idle.append(db)
            elif db:
                db.close()

    def _connect(self) -> sqlite3.Connection:
        """A connection to the file that was opened first, also if another build took its place."""
        # Each connection is in one thread at a time.
        if self._first and _version(self._file) != self._version:
            return self._copy(self._first)
        uri = f"{self._file.as_uri()}?mode=ro&immutable=1"
        db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        # Nothing in the file may call functions with effects, and the layout of a page is checked
        # before it is used.
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "schema_version"):
            db.execute(f"PRAGMA {pragma}")  # the last one opens the file
        if self._first and _version(self._file) != self._version:
            db.close()
            return self._copy(self._first)
        return db

    def _copy(self, first: sqlite3.Connection) -> sqlite3.Connection:
        db = sqlite3.connect(":memory:", check_same_thread=False)
        with self._copying:
            first.backup(db)
        return db

    def __del__(self) -> None:
        for db in filter(None, (*self._idle, self._first)):
            db.close()

    def containing(self, phrase: str) -> np.ndarray:
        """Return the GIFs whose name or words contain a phrase, word by word, ascending."""
        words = _WORD.findall(phrase)
        if not words:
            return np.zeros(0, np.int64)
        with self._open() as db:
            return np.sort(self._select(db, f'"{" ".join(map(_plain, words))}"'))

    def candidates(self, message: str, n: int) -> np.ndarray:
        """Return the n GIFs that share the rarest words with a message, by BM25.

        Words that more than MAX_GIFS have are left out: to rank all who have them takes 70 ms
        at 100,000 GIFs, and they distinguish nothing.
        """
        words = dict.fromkeys(_plain(word) for word in _WORD.findall(message.lower()))
        with self._open() as db:
            counts = {
                word: db.execute("SELECT doc FROM vocabulary WHERE term = ?", (word,)).fetchone()
                for word in [*words][:MAX_WORDS]
            }
            rare = sorted(
                (count[0], word) for word, count in counts.items() if count and count[0] <= MAX_GIFS
            )[:MAX_RARE]
            if not rare:
                return np.zeros(0, np.int64)
            return self._select(db, " OR ".join(f'"{word}"' for _, word in rare), n)

    def _select(self, db: sqlite3.Connection, match: str, limit: int = -1) -> np.ndarray:
        query = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?"
        gifs = np.array([row for (row,) in db.execute(query, (match, limit))], np.int64)
        if len(gifs) and not 0 <= gifs.min() <= gifs.max() < self._n:
            raise BundleError(f"{FILE} of this library names GIFs that it does not have.")
        return gifs


def _version(file: Path) -> tuple[int, ...]:
    """What distinguishes a file from another of its name; () if there is none."""
    try:
        facts = file.stat()
    except OSError:
        return ()
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def write_phrases(folder: Path, texts: Iterable[tuple[int, str, str]]) -> None:
    """Write the index of (GIF, name, words)."""
    db = sqlite3.connect(folder / FILE)
    try:
        db.execute("PRAGMA journal_mode = OFF")
        for statement in _TABLES.values():
            db.execute(statement)
        db.executemany(
            "INSERT INTO texts (rowid, name, words) VALUES (?, ?, ?)",
            ((gif, _plain(name), _plain(words)) for gif, name, words in texts),
        )
        db.execute("INSERT INTO texts (texts) VALUES ('optimize')")
        db.commit()
    finally:
        db.close()


def _plain(text: str) -> str:
    """Drop apostrophes: file names have none, and people leave them out."""
    return text.replace("'", "").replace("’", "")


def likeness(message: str, texts: Sequence[str]) -> np.ndarray:
    """Return how alike the letters of a message and of each text are, 0 to 1, (n,).

    Dice's coefficient of the sets of three letters in a row, or the share of a longer text's
    that the message contains; spaces, signs and case are left out, as text recognition loses
    them.

    >>> likeness("Ain't nobody got time for that", ["AINTNOBODY GOT TIME FORTHAT"]).tolist()
    [1.0]
    """
    own = _trigrams(message)
    return np.array([_likeness(own, _trigrams(text)) for text in texts])


def _likeness(own: frozenset[str], other: frozenset[str]) -> float:
    both = len(own & other)
    contained = CONTAINED * both / len(other) if len(other) >= LONG else 0.0
    return max(2 * both / max(1, len(own) + len(other)), contained)


@lru_cache(maxsize=4_096)  # of names and words, which are compared again and again
def _trigrams(text: str) -> frozenset[str]:
    letters = _NO_LETTER.sub("", text.lower())
    return frozenset(letters[i : i + 3] for i in range(max(1, len(letters) - 2)))

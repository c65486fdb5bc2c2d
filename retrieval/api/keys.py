"""API keys in a file of the data folder: DATA/api_keys.json, for its owner only.

A key is 32 random bytes and is shown once; stored is its SHA-256. A slow hash such as scrypt
protects passwords that can be guessed; 256 random bits cannot.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock

from retrieval.errors import SettingsError

FILE = "api_keys.json"
FORMAT_VERSION = 1
KEY_PREFIX = "rs_"  # by which scanners for leaked secrets can know one
MAX_NAME_CHARS = 64


@dataclass(frozen=True)
class StoredKey:
    """What is stored of a key."""

    name: str
    hash: str  # SHA-256 of the key, hexadecimal
    created: str  # UTC, ISO 8601


def create_key(data: Path, name: str) -> str:
    """Add a key and return it. SettingsError if the name is in use, or the file not writable."""
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise SettingsError(
            f"The name of the key is {name[:MAX_NAME_CHARS]!r}; expected 1 to {MAX_NAME_CHARS} "
            f"printable characters."
        )
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    with _changing(data):
        keys = read_keys(data)
        if any(known.name == name for known in keys):
            raise SettingsError(
                f"There is a key {name!r} already. Choose another name, or revoke it first: "
                f"reaction-search keys revoke {name!r}"
            )
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        _write(data, [*keys, StoredKey(name, hash_of(key), now)])
    return key


def revoke_key(data: Path, name: str) -> None:
    """Take a key out. SettingsError if there is none of this name."""
    with _changing(data):
        keys = read_keys(data)
        left = [known for known in keys if known.name != name]
        if len(left) == len(keys):
            raise SettingsError(f"There is no key {name!r}. List them: reaction-search keys list")
        _write(data, left)


def read_keys(data: Path) -> Sequence[StoredKey]:
    """The stored keys, oldest first; none if there is no file.

    SettingsError if the file cannot be read.
    """
    file = data / FILE
    try:
        content: Any = json.loads(file.read_bytes())
        if content["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {content['format_version']}")
        return [StoredKey(**key) for key in content["keys"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{file} is no list of API keys ({error}). Move it away and create the keys anew: "
            f"reaction-search keys create NAME"
        ) from error


def hash_of(key: str) -> str:
    """The SHA-256 of a key, hexadecimal."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class KeyRing:
    """The keys of a folder for a running server, which sees a change at the next request."""

    def __init__(self, data: Path):
        self._data = data
        self._lock = threading.Lock()
        self._version: object = None
        self._names: Mapping[str, str] = {}

    def name_of(self, key: str) -> str | None:
        """The name of a valid key. SettingsError if the file cannot be read.

        A look-up by hash leaks by its time, if anything, parts of a hash that nobody can turn
        into a key.
        """
        version: object = None
        with suppress(OSError):
            facts = (self._data / FILE).stat()
            version = facts.st_ino, facts.st_mtime_ns, facts.st_size
        with self._lock:
            if version != self._version:
                self._names = {known.hash: known.name for known in read_keys(self._data)}
                self._version = version
            return self._names.get(hash_of(key))


@contextmanager
def _changing(data: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile."""
    lock = FileLock(data / f"{FILE}.lock", mode=0o600)
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _not_written(data, error) from error
    try:
        yield
    finally:
        lock.release()


def _write(data: Path, keys: Sequence[StoredKey]) -> None:
    """Replace the file at once."""
    content = {"format_version": FORMAT_VERSION, "keys": [asdict(key) for key in keys]}
    partial = data / f"{FILE}.{os.getpid()}.partial"
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
        partial.replace(data / FILE)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise _not_written(data, error) from error


def _not_written(data: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"API keys cannot be kept in {data} ({error.strerror or error}). Set REACTION_DATA to a "
        f"writable folder."
    )

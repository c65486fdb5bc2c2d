"""Files whose SHA-256 is known, checked before they are used; those on the Hub brought in first.

That a file has its hash is remembered by its size and time of change, in the user's cache,
so that a start with all in place reads none of them: hashing a gigabyte takes about a second.
Where that note cannot be read or written, everything is hashed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from retrieval.errors import HubError
from retrieval.hub.client import Progress, Snapshot
from retrieval.paths import user_cache, why_not_regular


def fetch_checked(
    snapshot: Snapshot, hashes: Mapping[str, str], progress: Progress | None = None
) -> None:
    """Bring the files into the snapshot's folder; `hashes` is name → SHA-256 (hex).

    One that is not what it should be is downloaded once more: it may have been damaged on
    the way or here. HubError if it still is not, or cannot be had.
    """
    snapshot.fetch(hashes, progress)
    repo = f"{snapshot.address.kind}--{snapshot.address.repo_id.replace('/', '--')}"
    notes = Notes(snapshot.folder, f"{repo}/{snapshot.commit}")
    wrong = [name for name, sha256 in hashes.items() if not notes.agree(name, sha256)]
    if wrong:
        snapshot.fetch(wrong, anew=True)
        wrong = [name for name in wrong if not notes.agree(name, hashes[name])]
    notes.write()
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        found = sha256_of(snapshot.folder / wrong[0])
        raise HubError(
            f"{wrong[0]}{more} in {snapshot.address} at commit {snapshot.commit[:12]} is not the "
            f"file that was published (SHA-256 {found[:12]}, expected {hashes[wrong[0]][:12]}), "
            f"and is not used. Name another commit, or have it published again."
        )


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while block := data.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_sha256(file: Path, sha256: str) -> None:
    """ValueError unless the file has this hash; OSError if it cannot be read."""
    if reason := why_not_regular(file.stat().st_mode):
        raise ValueError(reason)
    if sha256_of(file) != sha256:
        raise ValueError("not the file that was written")


class Notes:
    """What was found when a folder's files were last hashed: name → [size, time, SHA-256].

    `name` is what the note itself is called, among those of all folders.
    """

    def __init__(self, folder: Path, name: str):
        self._folder = folder
        self._file = user_cache() / "checked" / f"{name}.json"
        self._known: dict[str, list[int | str]] = {}
        with suppress(OSError, ValueError, TypeError):
            self._known = dict(json.loads(self._file.read_text(encoding="utf-8")))
        self._has_news = False

    def agree(self, name: str, sha256: str) -> bool:
        """Whether the file has this hash; it is read only if it is not known yet, or changed.

        OSError if it cannot be read.
        """
        file = self._folder / name
        facts = file.stat()
        found: list[int | str] = [facts.st_size, facts.st_mtime_ns, sha256]
        if self._known.get(name) == found:
            return True
        if sha256_of(file) != sha256:
            return False
        self._known[name] = found
        self._has_news = True
        return True

    def write(self) -> None:
        """Keep what was found, if anything is new and there is a place for it."""
        if not self._has_news:
            return
        partial = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(self._known), encoding="utf-8")
            partial.replace(self._file)

"""Files whose SHA-256 is known, checked before they are used; those on the Hub brought in first.

That a file has its hash is remembered (retrieval.hub.checked), so that a start with all in place
reads none of them: hashing a gigabyte takes about a second.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path

from retrieval.errors import HubError
from retrieval.hub.checked import FileFacts, Known, known_files, remember
from retrieval.hub.client import Progress, Snapshot
from retrieval.paths import why_not_regular

BLOCK = 1 << 20
THREADS = min(4, os.cpu_count() or 1)  # hashing leaves Python's lock to the others
# A file that changes twice within one tick of the kernel's clock keeps its times: what changed
# this recently is read after the tick.
TICK_NS = 20_000_000
KEEP_EVERY_S = 5.0  # what was found is kept this often, so that a stopped check goes on from there


def fetch_checked(
    snapshot: Snapshot,
    hashes: Mapping[str, str],
    progress: Progress | None = None,
    *,
    again: bool = False,
) -> None:
    """Bring the files into the snapshot's folder; `hashes` is name → SHA-256 (hex).

    One that is not what it should be is downloaded once more: it may have been damaged on
    the way or here. HubError if it still is not, or cannot be had. With `again`, files are read
    that are known.
    """
    snapshot.fetch(hashes, progress)
    wrong = changed_files(snapshot.folder, hashes, again=again)
    if wrong:
        snapshot.fetch(wrong, anew=True)
        wrong = changed_files(snapshot.folder, {name: hashes[name] for name in wrong})
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        found = sha256_of(snapshot.folder / wrong[0])
        raise HubError(
            f"{wrong[0]}{more} in {snapshot.address} at commit {snapshot.commit[:12]} is not the "
            f"file that was published (SHA-256 {found[:12]}, expected {hashes[wrong[0]][:12]}), "
            f"and is not used. Name another commit, or have it published again."
        )


def changed_files(
    folder: Path,
    hashes: Mapping[str, str],
    progress: Callable[[int, int], None] | None = None,
    *,
    again: bool = False,
) -> list[str]:
    """Return the names of the files that do not have their hash; `hashes` is name → SHA-256.

    A file is read only if it is not known yet, or changed; with `again`, every file is. Reading is
    spread over a few threads; `progress` is called with (bytes read, bytes to read). OSError if a
    file cannot be read.
    """
    known = {} if again else known_files(folder)
    facts = {name: FileFacts.of(os.stat(folder / name)) for name in hashes}
    unread = [name for name in hashes if known.get(name, (None, ""))[0] != facts[name]]
    found = {name: sha256 for name, (_, sha256) in known.items()}
    if unread:
        found |= _read(folder, {name: facts[name] for name in unread}, progress)
    return [name for name, sha256 in hashes.items() if found[name] != sha256]


def _read(
    folder: Path, facts: Mapping[str, FileFacts], progress: Callable[[int, int], None] | None
) -> dict[str, str]:
    """Return the SHA-256 of each file, and remember those that did not change meanwhile."""
    total, done = sum(of_one.size for of_one in facts.values()), 0
    newest = max(of_one.changed_ns for of_one in facts.values())
    if 0 <= time.time_ns() - newest < TICK_NS:
        time.sleep(TICK_NS / 1e9)
    found: dict[str, str] = {}
    fresh: dict[str, Known] = {}
    kept = time.monotonic()

    def read(name: str) -> tuple[str, str, FileFacts]:
        nonlocal done

        def count(n: int) -> None:
            nonlocal done
            done += n  # a lost count of two threads would not matter
            if progress:
                progress(min(done, total), total)

        sha256 = sha256_of(folder / name, count)
        return name, sha256, FileFacts.of(os.stat(folder / name))

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            try:
                for name, sha256, after in pool.map(read, facts):
                    found[name] = sha256
                    if after == facts[name]:
                        fresh[name] = after, sha256
                    if time.monotonic() - kept > KEEP_EVERY_S:
                        remember(folder, fresh)
                        fresh, kept = {}, time.monotonic()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    finally:
        remember(folder, fresh)
    return found


def remember_written(folder: Path, written: Mapping[str, Known]) -> None:
    """Remember files that this program wrote, so that opening them reads none a second time.

    `written` is what each was when its hash was known. One that has another size, time of
    modification or inode by now is left out; its time of change may be a later one, as that of a
    file to which another folder had a link.
    """
    fresh: dict[str, Known] = {}
    for name, (before, sha256) in written.items():
        with suppress(OSError):
            now = FileFacts.of(os.stat(folder / name))
            if replace(now, changed_ns=before.changed_ns) == before:
                fresh[name] = now, sha256
    remember(folder, fresh)


def sha256_of(file: Path, count: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file's bytes, in hex; `count` is called with the bytes of each block."""
    with file.open("rb", buffering=0) as opened:
        return sha256_of_opened(opened, count)


def sha256_of_opened(file: FileIO, count: Callable[[int], None] | None = None) -> str:
    """The same for an opened file, from where it stands; it is left at its end."""
    digest = hashlib.sha256()
    buffer = bytearray(min(BLOCK, os.fstat(file.fileno()).st_size + 1))
    view = memoryview(buffer)
    while n := file.readinto(buffer):
        digest.update(view[:n])
        if count:
            count(n)
    return digest.hexdigest()


def check_sha256(file: Path, sha256: str) -> None:
    """ValueError unless the file has this hash; OSError if it cannot be read."""
    if reason := why_not_regular(file.stat().st_mode):
        raise ValueError(reason)
    if sha256_of(file) != sha256:
        raise ValueError("not the file that was written")

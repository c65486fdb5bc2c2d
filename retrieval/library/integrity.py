"""Check the files of a bundle against its manifest, before anything of them is parsed.

Every file is read whole when a bundle is opened for the first time on this machine; then it is
known by its size, times and inode (retrieval.hub.checked) until it changes. What this program has
written itself is known from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import BundleError, reason_of
from retrieval.hub import changed_files, sha256_of
from retrieval.library.embeddings import shards_in
from retrieval.library.manifest import CATALOG, EMBEDDINGS, VECTORS, Location, Manifest
from retrieval.paths import why_not_regular

BytesProgress = Callable[[int, int], None]  # (bytes read, bytes to read)


@dataclass(frozen=True)
class Verification:
    """What `verify_bundle` read: all of it is what the manifest says."""

    name: str
    n_files: int
    n_bytes: int
    duration_s: float

    def __str__(self) -> str:
        return (
            f"{self.name}: all {self.n_files:,} files are what its manifest says "
            f"({self.n_bytes / 1e6:,.1f} MB read in {self.duration_s:.1f} s)"
        )


def check_files(
    location: Location,
    folder: Path,
    manifest: Manifest,
    progress: BytesProgress | None = None,
    *,
    again: bool = False,
    names: Collection[str] | None = None,
) -> None:
    """BundleError unless every file of the manifest is there and has its hash.

    Only files that are not known yet are read; with `again`, all are. `names` are those to look
    at, if not all.
    """
    check_sizes(location, folder, manifest, names)
    names = manifest.files if names is None else names
    hashes = {name: manifest.files[name]["sha256"] for name in names}
    try:
        changed = changed_files(folder, hashes, progress, again=again)
    except OSError as error:
        raise BundleError(
            f"{error.filename or folder} cannot be read ({reason_of(error)}). {location.remedy}"
        ) from error
    if changed:
        name, more = changed[0], f" (and {len(changed) - 1:,} more)" if len(changed) > 1 else ""
        raise BundleError(
            f"{folder / name}{more} is not the file that was written: SHA-256 "
            f"{sha256_of(folder / name)[:12]}, expected {hashes[name][:12]}. {location.remedy}"
        )


def check_sizes(
    location: Location, folder: Path, manifest: Manifest, names: Collection[str] | None = None
) -> None:
    """BundleError unless every file of the manifest is there in its size, and all that is needed
    is in the manifest: what is not in it has no hash, and is never read."""
    for name in manifest.files if names is None else names:
        _check_size(location, folder / name, manifest.files[name]["bytes"])
    needed = [CATALOG, VECTORS]
    needed += [f"{EMBEDDINGS}/{shard.name}" for shard in shards_in(folder / EMBEDDINGS)]
    for name in needed:
        if name not in manifest.files:
            raise BundleError(f"{folder / name} is not in the manifest. {location.remedy}")


def _check_size(location: Location, file: Path, size: int) -> None:
    try:
        facts = file.stat()
    except OSError as error:
        raise BundleError(f"{file} is missing ({reason_of(error)}). {location.remedy}") from error
    if reason := why_not_regular(facts.st_mode):
        raise BundleError(f"{file} is {reason}. {location.remedy}")
    if facts.st_size != size:
        raise BundleError(
            f"{file} is truncated or changed: {facts.st_size:,} bytes, expected {size:,}. "
            f"{location.remedy}"
        )

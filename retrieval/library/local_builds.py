"""Register the folders that the page may serve media from, for bundles built on this machine.

A bundle that was built without --copy-media names its media by absolute paths. The page
serves such a path only if the catalogue that names it was written by a build of this user
on this machine: a bundle from elsewhere could name any file. Each such build leaves a JSON
file in the user's state folder, named by the SHA-256 of its catalogue, so that a bundle
that is moved or copied on this machine is still known.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from retrieval.library.catalog import Record
from retrieval.library.manifest import CATALOG, Manifest
from retrieval.paths import user_state, write_json


def register_build(
    out: Path, manifest: Manifest, records: Iterable[Record], source_folder: Path | None = None
) -> tuple[str, ...]:
    """Allow the page to serve the media that the records name by absolute paths.

    Replaces what was registered for earlier bundles at `out`. Returns notes for the build
    report: one if the state folder cannot be written, which is no reason for a build to fail.
    """
    folders = media_folders(records, source_folder)
    sha256 = manifest.files[CATALOG]["sha256"]
    bundle = str(out.resolve())
    try:
        if folders:
            write_json(_builds() / f"{sha256}.json", {"bundle": bundle, "folders": sorted(folders)})
        for file in _builds().glob("*.json"):
            with suppress(ValueError, KeyError, TypeError):
                is_kept = folders and file.stem == sha256
                if not is_kept and json.loads(file.read_text("utf-8"))["bundle"] == bundle:
                    file.unlink()
    except OSError as error:
        if folders:
            return (
                f"The page cannot show these GIFs, for {_builds()} cannot be written "
                f"({error.strerror}). Make it writable and build again, or use --copy-media.",
            )
    return ()


def media_folders(records: Iterable[Record], source_folder: Path | None = None) -> set[str]:
    """Return the folders of media named by absolute paths; none of them within another.

    >>> sorted(media_folders([Record("1", "/a/b/1.gif", ""), Record("2", "/a/b/c/2.gif", "")]))
    ['/a/b']
    """
    resolve = lru_cache(maxsize=None)(os.path.realpath)
    found = set()
    for record in records:
        if os.path.isabs(record.uri):
            path = os.path.realpath(record.uri) if os.path.islink(record.uri) else record.uri
            found.add(resolve(os.path.dirname(path)))
    if found and source_folder is not None:
        found.add(resolve(source_folder))
    return {f for f in found if not any(str(parent) in found for parent in Path(f).parents)}


def folders_of(sha256: str) -> tuple[str, ...]:
    """Return the folders registered for the catalogue with this hash; none if built elsewhere."""
    file = _builds() / f"{sha256}.json"
    try:
        return _read(file, file.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
        return ()


@lru_cache(maxsize=16)
def _read(file: Path, changed_ns: int) -> tuple[str, ...]:
    return tuple(map(str, json.loads(file.read_text(encoding="utf-8"))["folders"]))


def _builds() -> Path:
    return user_state() / "builds"

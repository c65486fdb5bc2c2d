"""The GIFs of a bundle that may be served, and their frames.

A lookup reads the catalogue only; no encoder or index is loaded. A bundle may come from
somebody else, so its catalogue is not trusted. Served are regular files whose content is
media, inside the bundle or inside a folder from which this user built the bundle on this
machine (retrieval.library.local_builds). No error message here contains a path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from retrieval.errors import BundleError, MediaError
from retrieval.hub import is_address, sha256_of
from retrieval.library import (
    CATALOG,
    EMBEDDINGS,
    Record,
    folder_of,
    folders_of,
    is_web_address,
    media_path,
    read_frame_indices,
    read_manifest,
)
from retrieval.media import Limits, media_suffix
from retrieval.web.catalog import library_catalog

# A library may have been built with wider limits than the default; the cost of decoding one
# frame stays limited.
LIMITS = Limits(
    max_bytes=200_000_000,
    max_pixels=50_000_000,
    max_frames=1_000_000,
    max_duration_ms=86_400_000,
    max_memory_mb=1_000,
)
_HEAD_BYTES = 256  # read by media_suffix
# Without waiting, where the system has such a flag: opening a pipe would wait for its writer.
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_MEDIA_TYPES = {".jpg": "image/jpeg", ".mp4": "video/mp4", ".webm": "video/webm"}


T = TypeVar("T")


@dataclass(frozen=True)
class MediaFile:
    """A file that may be served, with the media type of its content."""

    path: Path
    suffix: str  # ".gif", ".webp", …
    size_bytes: int
    modified_ns: int

    @property
    def media_type(self) -> str:
        return media_type_of(self.suffix)


def media_type_of(suffix: str) -> str:
    """The media type of a format.

    >>> media_type_of(".webp"), media_type_of(".mp4")
    ('image/webp', 'video/mp4')
    """
    return _MEDIA_TYPES.get(suffix, f"image/{suffix[1:]}")


def find_file(where: Path | str, gif_id: str) -> MediaFile:
    """The file of a GIF of the bundle. MediaError if there is none that may be served.

    BundleError while a bundle on the Hub has not been opened, and if the bundle is damaged.
    """
    catalog = _read_or_damaged(lambda: library_catalog(where))
    number = catalog.find(gif_id)
    if number is None or catalog[number].id != gif_id:  # it finds by the first characters, too
        raise MediaError(f"No GIF {gif_id[:12]} in this library.")
    return media_file(folder_of(where), catalog[number], pulled=is_address(where))


def media_file(bundle: Path, record: Record, *, pulled: bool) -> MediaFile:
    """The record's file. MediaError if there is none, or it may not be served.

    `pulled`: the bundle comes from the Hub.
    """
    place = media_path(bundle, record, pulled=pulled)
    if not place or is_web_address(place):
        raise MediaError(f"GIF {record.id[:12]} is not a file of this library.")
    try:
        path = os.path.realpath(place, strict=True)
        if not _may_serve(bundle, record, path, pulled):
            raise MediaError(
                f"GIF {record.id[:12]} lies outside of this library, which was not built here."
            )
        file = os.open(path, _READ_FLAGS)
        try:
            facts = os.fstat(file)
            suffix = media_suffix(os.read(file, _HEAD_BYTES)) if stat.S_ISREG(facts.st_mode) else ""
        finally:
            os.close(file)
    except (OSError, ValueError, RuntimeError) as error:  # also a NUL in a path, a circle of links
        raise MediaError(f"The file of GIF {record.id[:12]} cannot be read.") from error
    if not suffix:
        raise MediaError(f"The file of GIF {record.id[:12]} is no picture and no film.")
    return MediaFile(Path(path), suffix, facts.st_size, facts.st_mtime_ns)


def _may_serve(bundle: Path, record: Record, path: str, pulled: bool) -> bool:
    if pulled:  # the Hub's cache contains links to files whose hashes were verified
        return record.uri in _read_once(read_manifest, bundle).files
    if _is_within(path, os.path.realpath(bundle)):
        return True
    folders = folders_of(_read_once(sha256_of, bundle, CATALOG))
    return any(_is_within(path, folder) for folder in folders)


def _is_within(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def check_frame(where: Path | str, gif_id: str, frame: int) -> None:
    """MediaError unless this frame of the GIF was embedded."""
    if frame not in embedded_frames(folder_of(where), gif_id):
        raise MediaError(f"Frame {frame} of GIF {gif_id[:12]} is not indexed.")


def embedded_frames(bundle: Path, gif_id: str) -> Sequence[int]:
    """The numbers of the frames of a GIF that were embedded; none if there is no such GIF."""
    frames: Sequence[int] = _read_or_damaged(
        lambda: _read_once(read_frame_indices, bundle, EMBEDDINGS).get(gif_id, ())
    )
    return frames


def _read_or_damaged(read: Callable[[], T]) -> T:
    """What `read` returns of a bundle's tables. BundleError if they are damaged."""
    try:
        return read()
    except (ValueError, LookupError, TypeError, RuntimeError) as error:  # Arrow's, and ours of it
        raise BundleError("The tables of this library are damaged.") from error


def _read_once(read: Callable[[Path], Any], bundle: Path, name: str = "") -> Any:
    """What `read` returns for a file of the bundle, read again when a build replaced it."""
    return _read(read, bundle / name, (bundle / CATALOG).stat().st_mtime_ns)


@lru_cache(maxsize=6)
def _read(read: Callable[[Path], Any], path: Path, version: int) -> Any:
    return read(path)

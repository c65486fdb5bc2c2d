"""A bundle's GIFs and their frames, as what a web server answers with.

Looked up in the catalogue alone: no encoder and no index is loaded for it. A bundle may be
somebody else's, so its catalogue is not trusted: what is served is a regular file, media by
its content, that lies in the bundle, or in a folder from which this user built the bundle on
this machine (retrieval.library.local_builds). No error here names a path.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from retrieval.errors import MediaError
from retrieval.hub import is_address, sha256_of
from retrieval.library import (
    CATALOG,
    EMBEDDINGS,
    Record,
    folder_of,
    folders_of,
    is_web_address,
    media_path,
    read_catalog,
    read_frame_indices,
    read_manifest,
)
from retrieval.media import Limits, Stop, media_suffix, read_frames
from retrieval.web.turns import Job, SharedJobs, Turns

GIF_ROUTE = "/gif"  # /gif/ID.gif
STILL_ROUTE = "/still"  # /still/ID/FRAME.png
STILL_SIDE = 256  # pixels at most: what a card or a strip shows
# A library may have been built with wider bounds than the default. What a frame costs is
# bounded nevertheless.
LIMITS = Limits(
    max_bytes=200_000_000,
    max_pixels=50_000_000,
    max_frames=1_000_000,
    max_duration_ms=86_400_000,
    max_decode_s=10,
)
STILL_CACHE_BYTES = 40_000_000

# A processor stays free for searches.
STILLS_AT_ONCE = max(1, (os.cpu_count() or 1) - 1)
STILLS_WAITING = 64  # the frames of a few pages of results

_HEAD_BYTES = 256  # what media_suffix looks at
_MEDIA_TYPES = {
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".png": "image/png",
    ".apng": "image/apng",
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}


@dataclass(frozen=True)
class MediaFile:
    """A file that may be served, and what it is by its content."""

    path: Path
    suffix: str  # ".gif", ".webp", …
    size_bytes: int

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self.suffix]


def find_file(where: Path | str, gif_id: str) -> MediaFile:
    """The file of a GIF of the bundle; MediaError if there is none that may be served.

    BundleError while a bundle on the Hub has not been opened.
    """
    bundle = folder_of(where)
    record = _records(bundle, _version(bundle)).get(gif_id)
    if record is None:
        raise MediaError(f"No GIF {gif_id[:12]} in this library.")
    return media_file(bundle, record, pulled=is_address(where))


def media_file(bundle: Path, record: Record, *, pulled: bool) -> MediaFile:
    """The record's file; MediaError if there is none, or it may not be served."""
    place = media_path(bundle, record, pulled=pulled)
    if not place or is_web_address(place):
        raise MediaError(f"GIF {record.id[:12]} is not a file of this library.")
    try:
        path = os.path.realpath(place, strict=True)
        if not _may_serve(bundle, record, path, pulled):
            raise MediaError(
                f"GIF {record.id[:12]} lies outside of this library, which was not built here."
            )
        # Opening a pipe would wait for its other end.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            facts = os.fstat(file)
            suffix = media_suffix(os.read(file, _HEAD_BYTES)) if stat.S_ISREG(facts.st_mode) else ""
        finally:
            os.close(file)
    except (OSError, ValueError, RuntimeError) as error:  # also NULs, and links in a circle
        raise MediaError(f"The file of GIF {record.id[:12]} cannot be read.") from error
    if not suffix:
        raise MediaError(f"The file of GIF {record.id[:12]} is no picture and no film.")
    return MediaFile(Path(path), suffix, facts.st_size)


def _may_serve(bundle: Path, record: Record, path: str, pulled: bool) -> bool:
    if pulled:  # the Hub's cache holds links, whose targets were checked by their hash
        return record.uri in _manifest_files(bundle, _version(bundle))
    if _is_within(path, os.path.realpath(bundle)):
        return True
    folders = folders_of(_catalog_sha256(bundle, _version(bundle)))
    return any(_is_within(path, folder) for folder in folders)


def _is_within(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def check_frame(where: Path | str, gif_id: str, frame: int) -> None:
    """MediaError unless the frame is one of those that were embedded."""
    bundle = folder_of(where)
    frames = _frame_indices(bundle, _version(bundle)).get(gif_id)
    if frames is None or frame not in frames:
        raise MediaError(f"Frame {frame} of GIF {gif_id[:12]} is not indexed.")


def _version(bundle: Path) -> int:
    return (bundle / CATALOG).stat().st_mtime_ns


@lru_cache(maxsize=2)
def _records(bundle: Path, version: int) -> dict[str, Record]:
    return {record.id: record for record in read_catalog(bundle / CATALOG)}


@lru_cache(maxsize=2)
def _frame_indices(bundle: Path, version: int) -> dict[str, np.ndarray]:
    return read_frame_indices(bundle / EMBEDDINGS)


@lru_cache(maxsize=4)
def _catalog_sha256(bundle: Path, version: int) -> str:
    return sha256_of(bundle / CATALOG)


@lru_cache(maxsize=2)
def _manifest_files(bundle: Path, version: int) -> Mapping[str, object]:
    return read_manifest(bundle).files


class Stills:
    """Frames as PNG, decoded a few at a time, each once however many ask for it."""

    def __init__(self, at_once: int = STILLS_AT_ONCE, waiting: int = STILLS_WAITING):
        self._turns = Turns(at_once, waiting)
        self._jobs: SharedJobs[bytes] = SharedJobs()
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[Path, int], bytes] = OrderedDict()
        self._made_bytes = 0

    def made(self, path: Path, frame: int) -> bytes | None:
        """The still, if it was made a short while ago."""
        with self._lock:
            png = self._made.get((path, frame))
            if png is not None:
                self._made.move_to_end((path, frame))
            return png

    def job(self, path: Path, frame: int) -> AbstractContextManager[Job[bytes]]:
        """The job that makes the still, shared by all who ask for it.

        It ends with BusyError if too many wait, MediaError if there is no such frame.
        """

        def work(stop: Stop) -> bytes:
            with self._turns.turn(stop):
                png = png_of(path, frame, stop)
            self._keep(path, frame, png)
            return png

        return self._jobs.job((path, frame), work)

    def _keep(self, path: Path, frame: int, png: bytes) -> None:
        with self._lock:
            self._made_bytes += len(png) - len(self._made.get((path, frame), b""))
            self._made[path, frame] = png
            while self._made_bytes > STILL_CACHE_BYTES:
                self._made_bytes -= len(self._made.popitem(last=False)[1])


def png_of(source: Path | bytes, frame: int, stop: Stop | None = None) -> bytes:
    """One frame as PNG, at most STILL_SIDE pixels wide and high.

    MediaError if there is no such frame. StoppedError soon after `stop` returns True.
    """
    (image,) = read_frames(source, [frame], LIMITS, stop)
    image.thumbnail((STILL_SIDE, STILL_SIDE))
    png: bytes = iio.imwrite("<bytes>", np.asarray(image), extension=".png")
    return png

"""The GIFs of a bundle that may be served, and their frames.

A lookup reads the catalogue only; no encoder or index is loaded. A bundle may come from
somebody else, so its catalogue is not trusted. Served are regular files whose content is
media, inside the bundle or inside a folder from which this user built the bundle on this
machine (retrieval.library.local_builds). No error message here contains a path.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from retrieval.errors import MediaError
from retrieval.hub import is_address, sha256_of_opened
from retrieval.library import (
    CATALOG,
    Record,
    Tables,
    folder_of,
    folders_of,
    is_web_address,
    media_path,
    read_tables,
)
from retrieval.media import Limits, media_suffix, read_bytes

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


CHANGED = "its file was changed since it was indexed"
MAX_HASHES = 50_000  # files whose hash is known, by what distinguishes their versions
_hashing = threading.Lock()
_hashes: OrderedDict[tuple[int, ...], str] = OrderedDict()


@dataclass(frozen=True)
class MediaFile:
    """A file that may be served, with the media type of its content."""

    path: Path
    suffix: str  # ".gif", ".webp", …
    size_bytes: int
    modified_ns: int
    sha256: str = ""  # of the bytes that were indexed

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

    Its bytes are compared with its hash by `open_checked` and `read_checked`. BundleError while a
    bundle on the Hub has not been opened, and if the bundle is damaged.
    """
    tables = read_tables(folder_of(where))
    number = tables.catalog.find(gif_id)
    record = None if number is None else tables.catalog[number]
    if record is None or record.id != gif_id:  # it finds by the first characters, too
        raise MediaError(f"No GIF {gif_id[:12]} in this library.")
    file = media_file(tables.folder, record, pulled=is_address(where), tables=tables)
    return replace(file, sha256=tables.sha256_of(record))


def media_file(
    bundle: Path, record: Record, *, pulled: bool, tables: Tables | None = None
) -> MediaFile:
    """The record's file. MediaError if there is none, or it may not be served.

    `pulled`: the bundle comes from the Hub. `tables` are those that the record is of, if they were
    read already. Its bytes are not compared with its hash.
    """
    place = media_path(bundle, record, pulled=pulled)
    if not place or is_web_address(place):
        raise MediaError(f"GIF {record.id[:12]} is not a file of this library.")
    try:
        path = os.path.realpath(place, strict=True)
        if not _may_serve(tables or read_tables(bundle), record, path, pulled):
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


def open_checked(file: MediaFile) -> FileIO:
    """Open the file: what is read from it are the bytes that were indexed, whatever happens to
    its name. MediaError if it was changed since.

    A file is read whole when it is first asked for, and again when it changed.
    """
    try:
        opened = file.path.open("rb", buffering=0)
    except OSError as error:
        raise MediaError("The file of this GIF cannot be read.") from error
    try:
        facts = os.fstat(opened.fileno())
        version = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        with _hashing:
            found = _hashes.get(version)
        if found is None:
            found = sha256_of_opened(opened)
            opened.seek(0)
            with _hashing:
                _hashes[version] = found
                while len(_hashes) > MAX_HASHES:
                    _hashes.popitem(last=False)
    except BaseException:
        opened.close()
        raise
    if found != file.sha256:
        opened.close()
        raise MediaError(f"This GIF is not served: {CHANGED}.")
    return opened


def read_checked(path: Path, sha256: str) -> bytes:
    """The bytes of a file; MediaError if they do not have this hash, or cannot be read."""
    data = read_bytes(path, LIMITS)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise MediaError(CHANGED)
    return data


def _may_serve(tables: Tables, record: Record, path: str, pulled: bool) -> bool:
    files = tables.manifest.files
    if pulled:  # the Hub's cache contains links to files whose hashes were verified
        return record.uri in files
    if _is_within(path, os.path.realpath(tables.folder)):
        return True
    folders = folders_of(files[CATALOG]["sha256"])
    return any(_is_within(path, folder) for folder in folders)


def _is_within(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def check_frame(where: Path | str, gif_id: str, frame: int) -> None:
    """MediaError unless this frame of the GIF was embedded."""
    if frame not in embedded_frames(folder_of(where), gif_id):
        raise MediaError(f"Frame {frame} of GIF {gif_id[:12]} is not indexed.")


def embedded_frames(bundle: Path, gif_id: str) -> Sequence[int]:
    """The numbers of the frames of a GIF that were embedded; none if there is no such GIF."""
    frames = read_tables(bundle).frame_indices().get(gif_id)
    return [] if frames is None else list(map(int, frames))

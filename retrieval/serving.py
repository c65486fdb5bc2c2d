"""A bundle's GIFs and their frames, as what a web server answers with.

Looked up in the catalogue alone: no encoder and no index is loaded for it.
"""

from __future__ import annotations

import mimetypes
from functools import lru_cache
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from retrieval.bundle import CATALOG, folder_of, media_path
from retrieval.catalog import Record, read_catalog
from retrieval.errors import MediaError
from retrieval.frames import read_frames
from retrieval.hub import is_address

GIF_ROUTE = "/gif"  # /gif/ID.gif
STILL_ROUTE = "/still"  # /still/ID/FRAME.png
STILL_SIDE = 256  # pixels at most: what a card or a strip shows


def find_file(where: Path | str, gif_id: str) -> tuple[Path, str]:
    """(path, media type) of a GIF of the bundle; MediaError if there is none.

    BundleError while a bundle on the Hub has not been opened.
    """
    bundle = folder_of(where)
    record = _records(bundle, (bundle / CATALOG).stat().st_mtime_ns).get(gif_id)
    if record is None:
        raise MediaError(f"no GIF {gif_id[:12]} in {where}")
    path = Path(media_path(bundle, record, pulled=is_address(where)))
    if not path.is_file():
        raise MediaError(f"{record.uri} is no longer there")
    return path, mimetypes.guess_type(path.name)[0] or "application/octet-stream"


@lru_cache(maxsize=4)
def _records(bundle: Path, changed_ns: int) -> dict[str, Record]:
    return {record.id: record for record in read_catalog(bundle / CATALOG)}


@lru_cache(maxsize=2_000)  # of about 20 kB
def still_png(path: Path, frame: int) -> bytes:
    """One frame of a file as PNG; MediaError if there is no such frame."""
    return png_of(path, frame)


def png_of(source: Path | bytes, frame: int) -> bytes:
    """One frame as PNG, at most STILL_SIDE pixels wide and high."""
    (image,) = read_frames(source, [frame])
    image.thumbnail((STILL_SIDE, STILL_SIDE))
    png: bytes = iio.imwrite("<bytes>", np.asarray(image), extension=".png")
    return png

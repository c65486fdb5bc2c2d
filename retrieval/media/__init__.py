"""Media files: formats told by their content, and decoding within bounds."""

from retrieval.media.decoders import on_white
from retrieval.media.formats import media_suffix
from retrieval.media.frames import (
    DEFAULT_FRAMES,
    SUFFIXES,
    Media,
    convert_media,
    read_bytes,
    read_frames,
    read_media,
)
from retrieval.media.limits import Facts, Limits, PictureText, Stop

__all__ = [
    "DEFAULT_FRAMES",
    "SUFFIXES",
    "Facts",
    "Limits",
    "Media",
    "PictureText",
    "Stop",
    "convert_media",
    "media_suffix",
    "on_white",
    "read_bytes",
    "read_frames",
    "read_media",
]

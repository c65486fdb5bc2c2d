"""Media files: formats told by their content, decoding within bounds, encoding films."""

from retrieval.media.decoders import is_silent_h264, open_media
from retrieval.media.formats import loop_count, media_suffix
from retrieval.media.frames import (
    DEFAULT_FRAMES,
    SUFFIXES,
    Frame,
    Media,
    convert_media,
    distinct_frames,
    read_bytes,
    read_frames,
    read_media,
)
from retrieval.media.limits import Budget, Facts, Limits, PictureText, Stop
from retrieval.media.pictures import Look, on_white
from retrieval.media.sandbox import media_job, media_sandbox, shared_sandbox

__all__ = [
    "DEFAULT_FRAMES",
    "SUFFIXES",
    "Budget",
    "Facts",
    "Frame",
    "Limits",
    "Look",
    "Media",
    "PictureText",
    "Stop",
    "convert_media",
    "distinct_frames",
    "is_silent_h264",
    "loop_count",
    "media_job",
    "media_sandbox",
    "media_suffix",
    "on_white",
    "open_media",
    "read_bytes",
    "read_frames",
    "read_media",
    "shared_sandbox",
]

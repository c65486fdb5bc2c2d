"""Render small renditions of media: an animation as WebP, MP4 or GIF, a frame as a still WebP.

A rendition has the real timing: frames are left out and the ones before them stand longer. Of a
longer source it shows the first 20 s, and of one that is too expensive to decode whatever the
limits allow. It is never upscaled. A picture of up to EASY_PIXELS is served itself where it has
fewer bytes; a larger one is not, as it costs a browser more than its bytes.
"""

from __future__ import annotations

from pathlib import Path

from retrieval.media import (
    Budget,
    Limits,
    Stop,
    is_silent_h264,
    loop_count,
    media_suffix,
    open_media,
    read_bytes,
)
from retrieval.renditions.frames import look, read_small
from retrieval.renditions.gif import encode_gif
from retrieval.renditions.webp import encode_still, encode_webp

WIDTHS = (100, 200, 480)  # pixels
FORMATS = ("webp", "mp4", "gif")
VERSION = 1  # of this renderer; files of another one are not served
# Of an animation, aimed at. GIFs: about those of Tenor's nanogif, tinygif and mediumgif.
TARGET_BYTES = {
    "webp": {100: 30_000, 200: 80_000, 480: 350_000},
    "mp4": {100: 30_000, 200: 100_000, 480: 400_000},
    "gif": {100: 100_000, 200: 400_000, 480: 2_000_000},
}
MAX_BYTES = {
    "webp": {100: 40_000, 200: 100_000, 480: 450_000},
    "mp4": {100: 40_000, 200: 130_000, 480: 500_000},
    "gif": {100: 125_000, 200: 500_000, 480: 2_500_000},
}
# The shortest time from a frame to the next. A film's frames cost few bytes.
GAP_MS = {"webp": 60, "mp4": 33, "gif": 60}
RENDER_LIMITS = Limits(max_bytes=200_000_000)

# An original this close to the size that is asked for is served as it is if it is small enough.
NEAR_WIDTH = 1.3
# One with fewer bytes than its rendition is served, too, if it is no strain on a browser.
EASY_PIXELS = 1_000_000
# What may be served as it is: for WebP, whatever an <img> shows.
SERVED_AS_IT_IS = {
    "webp": (".gif", ".webp", ".apng", ".png", ".jpg"),
    "mp4": (".mp4",),
    "gif": (".gif",),
}


def render_animation(
    source: Path | bytes,
    width: int,
    limits: Limits | None = None,
    stop: Stop | None = None,
    format: str = "webp",
) -> bytes:
    """An animation at most `width` pixels wide (of WIDTHS) in a format of FORMATS.

    Or the source itself, if it is smaller and a client that takes the format shows it: any
    picture for WebP, a GIF for GIF, H.264 without sound for MP4. Of a still picture, a still WebP
    or GIF, or a film of a second.

    MediaError if the source cannot be decoded within the limits (default: RENDER_LIMITS).
    StoppedError soon after `stop`, which is called between frames and encodings, returns True.
    """
    check_width(width)
    check_format(format)
    limits, stop = limits or RENDER_LIMITS, stop or _never
    data = read_bytes(source, limits)
    target_bytes, max_bytes = TARGET_BYTES[format][width], MAX_BYTES[format][width]
    size = _size_if_served(data, format, limits, stop) if len(data) <= max_bytes else None
    if size and size[0] <= NEAR_WIDTH * width and len(data) <= target_bytes:
        return data
    frames = read_small(data, width, GAP_MS[format], limits, stop)
    if format == "mp4":
        from retrieval.renditions.film import encode_mp4  # PyAV: 15 MB that most servers never need

        rendition = encode_mp4(frames, target_bytes, max_bytes, stop)
    else:
        encode = encode_gif if format == "gif" else encode_webp
        rendition = encode(frames, loop_count(data), target_bytes, max_bytes, stop)
    if size and size[0] * size[1] <= EASY_PIXELS and len(data) <= len(rendition):
        return data
    return rendition


def render_still(
    source: Path | bytes,
    frame: int,
    width: int,
    limits: Limits | None = None,
    stop: Stop | None = None,
) -> bytes:
    """The frame with this index as a WebP at most `width` pixels wide (of WIDTHS).

    Raises what `render_animation` raises, MediaError also if there is no such frame.
    """
    check_width(width)
    limits = limits or RENDER_LIMITS
    data, budget = read_bytes(source, limits), Budget(limits, stop)
    with open_media(data, budget, look(width)) as (_, _, decode):
        (image,) = decode([frame])
    return encode_still(image)


def check_width(width: int) -> None:
    """ValueError unless there are renditions of this width."""
    if width not in WIDTHS:
        raise ValueError(f"width is {width}; expected one of {', '.join(map(str, WIDTHS))}")


def check_format(format: str) -> None:
    """ValueError unless there are renditions in this format."""
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}")


def _never() -> bool:
    return False


def _size_if_served(data: bytes, format: str, limits: Limits, stop: Stop) -> tuple[int, int] | None:
    """(width, height) of a source that may be served as it is, from its first frame; else None."""
    if media_suffix(data) not in SERVED_AS_IT_IS[format]:
        return None
    with open_media(data, Budget(limits, stop)) as (_, _, decode):
        (image,) = decode([0])
    if format == "mp4" and not is_silent_h264(data, limits):
        return None
    return image.size

"""Render small renditions of media: an animated WebP of a GIF or film, a still WebP of a frame.

A rendition has the real timing: frames are left out and the ones before them stand longer. Of a
longer source it shows the first MAX_DURATION_MS, and of one that is too expensive to decode
whatever the limits allow. It is never upscaled, and has no more bytes than a picture it is made
of; a film may have fewer, but an <img> cannot show it.

Encoding is by libwebp's method 2: a quarter fewer bytes than method 0 for 1.7 times the time.
Methods 3 and 4 save 5 % more for 1.4 times the time of method 2, method 6 takes 35 times as long.
Key frames after the first would cost 2 % of bytes and a quarter of time, allow_mixed saves
nothing (python -m benchmarks renditions --parameters).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from retrieval.errors import LimitError, StoppedError
from retrieval.media import (
    Budget,
    Limits,
    Look,
    Stop,
    loop_count,
    media_suffix,
    open_media,
    read_bytes,
)
from retrieval.renditions.ladder import STEPS, Step, first_step, next_step, thin

WIDTHS = (100, 200, 480)  # pixels
VERSION = 1  # of this renderer; files of another one are not served
TARGET_BYTES = {100: 30_000, 200: 80_000, 480: 350_000}  # of an animation, aimed at
MAX_BYTES = {100: 40_000, 200: 100_000, 480: 450_000}
MAX_DURATION_MS = 20_000  # 99 % of reaction GIFs are shorter
MAX_ASPECT = 2  # at most twice as high as wide
METHOD = 2
STILL_QUALITY, STILL_METHOD = 75, 4

MAX_PIXELS = 24_000_000  # of all small frames: 2 s to encode, 72 MB of memory
RENDER_LIMITS = Limits(max_bytes=200_000_000, max_decode_s=10)

# An original this close to the size that is asked for is served as it is if it is small enough.
NEAR_WIDTH = 1.3
# One with fewer bytes than its rendition is served, too, if it is no strain on a browser.
EASY_PIXELS = 1_000_000
# What an <img> shows: no films.
_PICTURES = (".gif", ".webp", ".apng", ".png", ".jpg")


@dataclass(frozen=True)
class _Frames:
    """Small frames, all RGB or all RGBA, and what of the source they are."""

    images: Sequence[Image.Image]
    starts: Sequence[int]  # ms, from 0
    duration_ms: int


def render_animation(
    source: Path | bytes, width: int, limits: Limits | None = None, stop: Stop | None = None
) -> bytes:
    """An animated WebP at most `width` pixels wide (of WIDTHS), or the source if it is smaller.

    Of a still picture, a still WebP. MediaError if the source cannot be decoded within the
    limits (default: RENDER_LIMITS). StoppedError soon after `stop`, which is called between
    frames and encodings, returns True.
    """
    check_width(width)
    limits, stop = limits or RENDER_LIMITS, stop or _never
    data = read_bytes(source, limits)
    size = _picture_size(data, limits, stop) if len(data) <= MAX_BYTES[width] else None
    if size and size[0] <= NEAR_WIDTH * width and len(data) <= TARGET_BYTES[width]:
        return data
    frames = _read_small(data, width, limits, stop)
    rendition = _encode_within(frames, loop_count(data), width, stop)
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
    with open_media(data, budget, _look(width)) as (_, _, decode):
        (image,) = decode([frame])
    return _encode_still(image)


def check_width(width: int) -> None:
    """ValueError unless there are renditions of this width."""
    if width not in WIDTHS:
        raise ValueError(f"width is {width}; expected one of {', '.join(map(str, WIDTHS))}")


def _never() -> bool:
    return False


def _look(width: int) -> Look:
    return Look(max_size=(width, MAX_ASPECT * width), keep_alpha=True)


def _picture_size(data: bytes, limits: Limits, stop: Stop) -> tuple[int, int] | None:
    """(width, height) of a picture that an <img> shows, from its first frame; None for a film."""
    if media_suffix(data) not in _PICTURES:
        return None
    with open_media(data, Budget(limits, stop)) as (_, _, decode):
        (image,) = decode([0])
    return image.size


def _read_small(data: bytes, width: int, limits: Limits, stop: Stop) -> _Frames:
    """The frames to encode: the first MAX_DURATION_MS, at the highest frame rate of a rendition.

    Decoding is limited by time only, which ends the rendition early, not by the number of
    pixels, which would refuse a long film before its first frame.
    """
    images: list[Image.Image] = []
    kept: list[int] = []  # start of each, ms
    gap_ms = STEPS[0].gap_ms
    budget = Budget(replace(limits, max_decoded_pixels=sys.maxsize), stop)
    with open_media(data, budget, _look(width)) as (starts, duration_ms, decode):
        end_ms = min(duration_ms, MAX_DURATION_MS)
        wanted = thin([start for start in starts if start < end_ms] or [0], gap_ms)
        try:
            for index, image in zip(wanted, decode(wanted), strict=True):
                if kept and starts[index] - kept[-1] < gap_ms:
                    continue
                images.append(image)
                kept.append(starts[index])
                if len(images) * image.width * image.height > MAX_PIXELS and len(images) > 1:
                    images, kept, gap_ms = images[::2], kept[::2], 2 * gap_ms
        except LimitError:
            if not images:
                raise
            end_ms = next((starts[n] for n in wanted if starts[n] > kept[-1]), end_ms)
    if any(image.mode == "RGBA" for image in images):
        images = [image.convert("RGBA") for image in images]
    return _Frames(images, kept, end_ms)


def _encode_within(frames: _Frames, loop: int, width: int, stop: Stop) -> bytes:
    """Encode at the best step that keeps to the bytes of this width; seldom more than twice."""
    if len(frames.images) == 1:
        return _encode_still(frames.images[0])
    pixels = frames.images[0].width * frames.images[0].height
    step: Step | None = first_step(frames.starts, pixels, TARGET_BYTES[width])
    while step is not None:
        if stop():
            raise StoppedError
        data = _encode(frames, step, loop)
        if len(data) <= MAX_BYTES[width]:
            return data
        step = next_step(step, frames.starts, len(data), TARGET_BYTES[width])
    return _encode_still(frames.images[0])


def _encode(frames: _Frames, step: Step, loop: int) -> bytes:
    numbers = thin(frames.starts, step.gap_ms)
    if len(numbers) == 1:
        return _encode_still(frames.images[0])
    starts = [frames.starts[n] for n in numbers]
    ends = [*starts[1:], frames.duration_ms]
    first, *others = (frames.images[n] for n in numbers)
    file = io.BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=[end - start for start, end in zip(starts, ends, strict=True)],
        loop=loop,
        quality=step.quality,
        method=METHOD,
        kmax=0,  # no key frame but the first
    )
    return file.getvalue()


def _encode_still(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=STILL_QUALITY, method=STILL_METHOD)
    return file.getvalue()

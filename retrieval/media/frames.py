"""Extract at most N distinct frames from a media file, each with its index and time.

Frames are spread evenly in time, not in index, and a frame that looks like the one before
it is dropped, so that a still image costs one frame. Files over a limit, damaged files and
unsupported formats raise MediaError.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from retrieval.errors import MediaError, reason_of
from retrieval.media.decoders import open_media
from retrieval.media.limits import Budget, Facts, Limits, Stop, check
from retrieval.paths import why_not_regular

SUFFIXES = (".gif", ".webp", ".apng", ".png", ".jpg", ".jpeg", ".mp4", ".webm")
DEFAULT_FRAMES = 8

# Two frames are the same to the eye if no patch of a 32 × 32 thumbnail differs by
# more than this (of 255): above the noise of a recompression (about 4), below a
# blink of one eye in a 128-pixel face (about 30).
SAME_PATCH = 12
THUMBNAIL_SIDE = 32

# For frames that are displayed: as for uploads, which may be larger than a library's files.
STILL_LIMITS = Limits(max_bytes=200_000_000)

T = TypeVar("T")
Convert = Callable[[Image.Image], T]


@dataclass(frozen=True)
class Frame(Generic[T]):
    """One decoded frame: RGB with transparency on white, or the result of `convert`."""

    index: int
    time_ms: int
    image: T


@dataclass(frozen=True)
class Media(Generic[T]):
    """A decoded file: its chosen frames, and facts about the whole file."""

    frames: tuple[Frame[T], ...]
    n_frames: int
    duration_ms: int  # 0 for a still
    width: int
    height: int


def read_media(
    source: Path | bytes, n: int = DEFAULT_FRAMES, limits: Limits | None = None
) -> Media[Image.Image]:
    """Read at most `n` distinct frames, in order of time.

    MediaError (without the path, which the caller knows) if the file is over a limit,
    damaged, or of an unsupported format. ValueError if `n` is below 1.
    """
    return convert_media(source, lambda image: image, n, limits)


def convert_media(
    source: Path | bytes,
    convert: Convert[T],
    n: int = DEFAULT_FRAMES,
    limits: Limits | None = None,
    stop: Stop | None = None,
) -> Media[T]:
    """`read_media` with each frame converted as soon as it is decoded.

    At most one frame is in memory at its full size, however many are chosen. StoppedError
    soon after `stop`, which is called between frames, returns True.

    Errors of `convert` propagate unchanged: its input is valid, so they are not the file's
    fault, and reporting them as a reason to skip the file would hide a bug.
    """
    frames: list[Frame[T]] = []
    facts = Facts(0, 0, 0, 0)
    with closing(distinct_frames(source, n, limits, stop)) as distinct:
        for frame, of_file in distinct:
            facts = of_file
            frames.append(Frame(frame.index, frame.time_ms, convert(frame.image)))
    return Media(tuple(frames), facts.n_frames, facts.duration_ms, facts.width, facts.height)


def distinct_frames(
    source: Path | bytes,
    n: int = DEFAULT_FRAMES,
    limits: Limits | None = None,
    stop: Stop | None = None,
) -> Generator[tuple[Frame[Image.Image], Facts], None, None]:
    """Yield the frames of `read_media` as they are decoded, each with the facts of the file."""
    if n < 1:
        raise ValueError(f"n is {n}; expected at least 1 frame")
    budget = Budget(limits or Limits(), stop)
    with open_media(read_bytes(source, budget.limits), budget) as (starts, duration_ms, decode):
        wanted = spread(starts, duration_ms, n)
        facts, last = None, None
        for index, image in zip(wanted, decode(wanted), strict=True):
            facts = facts or Facts(len(starts), duration_ms, *image.size)
            small = image.resize((THUMBNAIL_SIDE,) * 2, Image.Resampling.BOX)
            thumbnail = np.asarray(small, np.int16)
            if last is None or np.abs(thumbnail - last).max() > SAME_PATCH:
                last = thumbnail
                yield Frame(index, starts[index], image), facts
            del image  # before the next is decoded: 64 MB each at 16 million pixels


def read_bytes(source: Path | bytes, limits: Limits | None = None) -> bytes:
    """Read a file; MediaError if it is empty, over `max_bytes`, or unreadable."""
    limits = limits or Limits()
    if isinstance(source, bytes):
        size = len(source)
    else:
        try:
            facts = source.stat()
        except OSError as error:
            raise MediaError(f"cannot be opened ({reason_of(error)})") from error
        if reason := why_not_regular(facts.st_mode):
            raise MediaError(reason)
        size = facts.st_size
    if size == 0:
        raise MediaError("empty file")
    check("max_bytes", size, limits.max_bytes)
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot be opened ({reason_of(error)})") from error


def read_frames(
    source: Path | bytes,
    indices: Sequence[int],
    limits: Limits | None = None,
    stop: Stop | None = None,
) -> list[Image.Image]:
    """Decode the frames with these indices (ascending) for display, RGB on white.

    MediaError if one of them cannot be decoded within the limits (default: STILL_LIMITS).
    StoppedError soon after `stop`, which is called between frames, returns True.
    """
    budget = Budget(limits or STILL_LIMITS, stop)
    with open_media(read_bytes(source, budget.limits), budget) as (_, _, decode):
        return list(decode(indices))


def spread(starts: list[int], duration_ms: int, n: int) -> list[int]:
    """Indices of the frames displayed at the midpoints of `n` equal time intervals.

    >>> spread([0, 900, 1000, 1100], duration_ms=1200, n=2)
    [0, 1]
    >>> spread([0], duration_ms=0, n=8)
    [0]
    """
    moments = (np.arange(n) + 0.5) * duration_ms / n
    shown = np.searchsorted(np.asarray(starts), moments, side="right") - 1
    return sorted(set(shown.clip(0, len(starts) - 1).tolist()))

"""Limits on media files, and on the cost of decoding them.

Header values are checked before decoding, and again for every decoded frame, as a header may
lie. What no header states, such as how expensive the frames are to decode, is limited by CPU
time, checked between frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from retrieval.errors import LimitError, StoppedError

Stop = Callable[[], bool]  # whether the work was cancelled; called from any thread


@dataclass(frozen=True)
class PictureText:
    """Text read in one frame; a text that stays for several frames is listed once."""

    text: str
    frame: int  # its index in the animation
    time_ms: int
    confidence: float  # of the recogniser, 0 to 1
    box: tuple[float, float, float, float]  # left, top, right, bottom; 0 to 1 of the picture


@dataclass(frozen=True)
class Facts:
    """Frame count, duration, size, and the text in the pictures of a media file."""

    n_frames: int
    duration_ms: int  # 0 for a still
    width: int
    height: int
    texts: tuple[PictureText, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Limits of decoding; an error names the limit that was exceeded.

    The last three bound the work, not the file. A minute of film at 1920 × 1080 and 30
    frames a second has 3.7e9 pixels; it took 13 s of CPU time in H.264 (15 Mbit/s),
    11 s in VP9 and 2 s in AV1. GIF, APNG and WebP have a thirtieth of that and less.
    CPU time, not wall-clock time, so that the outcome does not depend on the machine's load.
    """

    max_bytes: int = 64_000_000
    max_pixels: int = 16_000_000  # width × height of one frame
    max_frames: int = 3_000  # including frames that are decoded but not shown
    max_duration_ms: int = 120_000
    max_decoded_pixels: int = 4_000_000_000  # of all frames that the chosen ones depend on
    max_decode_s: int = 10  # of CPU time
    max_memory_mb: int = 500  # where decoding runs in a sandbox (media.sandbox)

    def allow(self, facts: Facts) -> bool:
        """Whether a file that was decoded before is within the limits.

        The limits on decoding cost do not apply, as it need not be decoded again.
        """
        return (
            facts.width * facts.height <= self.max_pixels
            and facts.n_frames <= self.max_frames
            and facts.duration_ms <= self.max_duration_ms
        )


class Budget:
    """The remaining decoding cost of one file; for the thread that created it."""

    def __init__(self, limits: Limits, stop: Stop | None = None):
        self.limits = limits
        self._stop = stop
        self._start_s = time.thread_time()
        self._pixels = 0

    def check(self, width: int = 0, height: int = 0, passes: int = 1) -> None:
        """Count a decoded frame, of `passes` passes; called between frames.

        StoppedError if the work was cancelled, LimitError if a limit is exceeded.
        """
        if self._stop and self._stop():
            raise StoppedError
        check("max_pixels", width * height, self.limits.max_pixels)
        self._pixels += width * height * passes
        check("max_decoded_pixels", self._pixels, self.limits.max_decoded_pixels)
        if time.thread_time() - self._start_s > self.limits.max_decode_s:
            raise LimitError(f"max_decode_s is {self.limits.max_decode_s:,}, this takes longer")


def check(bound: str, value: int, limit: int) -> None:
    """LimitError if the value exceeds the limit.

    >>> check("max_frames", 3_001, 3_000)
    Traceback (most recent call last):
    retrieval.errors.LimitError: max_frames is 3,000, this has 3,001
    """
    if value > limit:
        raise LimitError(f"{bound} is {limit:,}, this has {value:,}")

"""The bounds of decoding: what a file may have, and what decoding it may cost.

What a header says is checked before anything is decoded, and again of every decoded frame,
for a header may lie. What no header says, such as how hard the frames are to decode, is
bounded by processor time, looked at between frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from retrieval.errors import MediaError, StoppedError
from retrieval.media.facts import Facts

Stop = Callable[[], bool]  # whether nobody waits for the work any more; from any thread


@dataclass(frozen=True)
class Limits:
    """The bounds of decoding; each names itself in the error.

    The last two bound the work, not the file. A minute of film at 1920 × 1080 and 30
    frames a second has 3.7e9 pixels; it took 13 s of processor time in H.264 (15 Mbit/s),
    11 s in VP9 and 2 s in AV1. GIF, APNG and WebP have a thirtieth of that and less.
    Processor time, not time on the clock, so that a file's fate does not hang on what else
    the machine does.
    """

    max_bytes: int = 64_000_000
    max_pixels: int = 16_000_000  # width × height of one frame
    max_frames: int = 3_000  # those that a film only decodes and does not show, too
    max_duration_ms: int = 120_000
    max_decoded_pixels: int = 4_000_000_000  # of all frames that the wanted ones need
    max_decode_s: int = 20  # of processor time

    def allow(self, facts: Facts) -> bool:
        """Whether a file that was decoded once is within the bounds.

        Not those of the work of decoding it: it is done, and need not be done again.
        """
        return (
            facts.width * facts.height <= self.max_pixels
            and facts.n_frames <= self.max_frames
            and facts.duration_ms <= self.max_duration_ms
        )


class Budget:
    """What decoding one file may still cost; for the thread that made it."""

    def __init__(self, limits: Limits, stop: Stop | None = None):
        self.limits = limits
        self._stop = stop
        self._start_s = time.thread_time()
        self._pixels = 0

    def check(self, width: int = 0, height: int = 0, passes: int = 1) -> None:
        """Count a frame that was decoded in so many passes; called between frames.

        StoppedError if the work is to stop, MediaError if it goes on for too long.
        """
        if self._stop and self._stop():
            raise StoppedError
        check("max_pixels", width * height, self.limits.max_pixels)
        self._pixels += width * height * passes
        check("max_decoded_pixels", self._pixels, self.limits.max_decoded_pixels)
        if time.thread_time() - self._start_s > self.limits.max_decode_s:
            raise MediaError(f"max_decode_s is {self.limits.max_decode_s:,}, this takes longer")


def check(bound: str, value: int, limit: int) -> None:
    """MediaError if the value is over the bound.

    >>> check("max_frames", 3_001, 3_000)
    Traceback (most recent call last):
    retrieval.errors.MediaError: max_frames is 3,000, this has 3,001
    """
    if value > limit:
        raise MediaError(f"{bound} is {limit:,}, this has {value:,}")

"""Which quality and frame rate an animation is encoded at, so that few encodings are needed.

The bytes of an animated WebP are nearly proportional to its number of frames, and depend on
quality in nearly the same way for all reaction GIFs (python -m benchmarks renditions --parameters).
So one encoding tells the size of all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Bytes at a WebP quality, relative to quality 50: medians over real GIFs. From 20 to 60 the 5th and
# the 95th percentile are within a quarter of them, below the estimate is a rougher one.
_QUALITIES = (5, 10, 20, 30, 40, 50, 60, 75)
_RELATIVE_BYTES = (0.39, 0.46, 0.60, 0.74, 0.87, 1.0, 1.14, 1.37)
# At quality 50, of each pixel of each frame: a low guess, as the median is 0.085 and the 5th
# percentile 0.041. Guessing too low costs one more encoding, guessing too high costs quality.
_BYTES_PER_PIXEL = 0.045


@dataclass(frozen=True)
class Step:
    """A way to encode: WebP quality, and the shortest time from a frame to the next."""

    quality: int
    gap_ms: int


# From the best to the smallest. About 15 frames a second at most: 60 ms, since 30 and 20 ms are
# common in GIFs and 67 would halve their rate once more.
STEPS = (
    *(Step(60, 60), Step(50, 60), Step(40, 60), Step(32, 60), Step(40, 95), Step(32, 95)),
    *(Step(32, 120), Step(25, 95), Step(25, 120), Step(25, 150), Step(20, 150), Step(20, 200)),
    *(Step(15, 200), Step(15, 250), Step(10, 250), Step(10, 330), Step(5, 500), Step(5, 1000)),
    *(Step(5, 2000), Step(5, 5000)),
)


def thin(starts: Sequence[int], gap_ms: int) -> list[int]:
    """Numbers of the frames to keep so that each starts `gap_ms` or more after the one before.

    >>> thin([0, 30, 60, 90, 400], gap_ms=60)
    [0, 2, 4]
    """
    kept = [0]
    for number, start in enumerate(starts):
        if start - starts[kept[-1]] >= gap_ms and number:
            kept.append(number)
    return kept


def first_step(starts: Sequence[int], pixels: int, target_bytes: int) -> Step:
    """The best step at which a typical GIF has the bytes aimed at; `pixels` of one frame."""
    scale = pixels * _BYTES_PER_PIXEL
    return _best_of(STEPS, starts, scale, target_bytes) or STEPS[-1]


def next_step(step: Step, starts: Sequence[int], size_bytes: int, target_bytes: int) -> Step | None:
    """The best step after `step`, which came out at `size_bytes`; None if it was the last."""
    scale = size_bytes / _relative_bytes(step, starts)
    later = STEPS[STEPS.index(step) + 1 :]
    return _best_of(later, starts, scale, target_bytes) or (later[-1] if later else None)


def _best_of(
    steps: Sequence[Step], starts: Sequence[int], scale: float, target_bytes: int
) -> Step | None:
    fitting = (s for s in steps if scale * _relative_bytes(s, starts) <= target_bytes)
    return next(fitting, None)


def _relative_bytes(step: Step, starts: Sequence[int]) -> float:
    """Bytes of a step in units of one frame at quality 50."""
    quality = float(np.interp(step.quality, _QUALITIES, _RELATIVE_BYTES))
    return quality * len(thin(starts, step.gap_ms))

"""Small frames of a source, which an encoder makes a rendition of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from PIL import Image

from retrieval.errors import LimitError
from retrieval.media import Budget, Limits, Look, Stop, open_media
from retrieval.renditions.ladder import thin

MAX_DURATION_MS = 20_000  # 99 % of reaction GIFs are shorter
MAX_ASPECT = 2  # at most twice as high as wide
MAX_PIXELS = 24_000_000  # of all small frames: 2 s to encode, 72 MB of memory


@dataclass(frozen=True)
class Frames:
    """Small frames, all RGB or all RGBA, and what of the source they are."""

    images: Sequence[Image.Image]
    starts: Sequence[int]  # ms, from 0
    duration_ms: int  # 0 for a still

    def __len__(self) -> int:
        return len(self.images)

    def thinned(self, gap_ms: int) -> Frames:
        """Those that start this long or more after the one before, at their times."""
        numbers = thin(self.starts, gap_ms)
        images = [self.images[n] for n in numbers]
        return Frames(images, [self.starts[n] for n in numbers], self.duration_ms)

    def shown_ms(self, unit_ms: int = 1) -> list[int]:
        """How long each frame is shown, in whole units: what one is cut by, the next one gets."""
        moments = [round(t / unit_ms) * unit_ms for t in (*self.starts, self.duration_ms)]
        return [end - start for start, end in pairwise(moments)]


def look(width: int) -> Look:
    """How a frame of a rendition is handed over."""
    return Look(max_size=(width, MAX_ASPECT * width), keep_alpha=True)


def read_small(data: bytes, width: int, gap_ms: int, limits: Limits, stop: Stop) -> Frames:
    """The frames to encode: of the first MAX_DURATION_MS, `gap_ms` or more apart.

    Decoding is limited by time only, which ends the rendition early, not by the number of
    pixels, which would refuse a long film before its first frame.
    """
    images: list[Image.Image] = []
    kept: list[int] = []  # start of each, ms
    budget = Budget(replace(limits, max_decoded_pixels=sys.maxsize), stop)
    with open_media(data, budget, look(width)) as (starts, duration_ms, decode):
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
    return Frames(images, kept, end_ms)

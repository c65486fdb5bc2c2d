"""Encode small frames as a film, an MP4 in H.264: for clients that play no animated pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from PIL import Image

from retrieval.errors import StoppedError
from retrieval.media import Stop
from retrieval.media.films import encode_film
from retrieval.renditions.frames import Frames

QUALITY, WORST_QUALITY = 26, 50  # constant rate factors
HALVED_BY = 6  # a factor this much higher halves the bytes, about
STILL_MS = 1_000  # how long a picture that does not move is shown


def encode_mp4(frames: Frames, target_bytes: int, max_bytes: int, stop: Stop) -> bytes:
    """Encode as well as keeps to the bytes; seldom more than once. StoppedError between frames."""
    quality, gap_ms = QUALITY, 0
    while True:
        chosen = frames.thinned(gap_ms)
        images, duration_ms = _until(stop, chosen.images), chosen.duration_ms or STILL_MS
        data = encode_film(images, chosen.starts, duration_ms, quality)
        if len(data) <= max_bytes or (quality == WORST_QUALITY and len(chosen) == 1):
            return data
        if quality == WORST_QUALITY:
            gap_ms = max(2 * gap_ms, 100)
        halvings = math.log2(len(data) / target_bytes)
        quality = min(quality + math.ceil(HALVED_BY * halvings), WORST_QUALITY)


def _until(stop: Stop, images: Sequence[Image.Image]) -> Iterator[Image.Image]:
    for image in images:
        if stop():
            raise StoppedError
        yield image

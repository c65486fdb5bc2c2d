"""Encode small frames as an animated WebP, or one as a still.

Encoding is by libwebp's method 2: a fifth fewer bytes than method 0 for 1.4 times the time.
Methods 3 and 4 save 5 % more for 1.7 times the time of method 2; method 6 saves 11 % and takes
33 times as long. Key frames after the first cost 3 % of bytes and a sixth of time, allow_mixed
saves nothing (python -m benchmarks renditions --parameters).
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from retrieval.errors import StoppedError
from retrieval.media import Stop
from retrieval.renditions.frames import Frames
from retrieval.renditions.ladder import Step, first_step, next_step

METHOD = 2
STILL_QUALITY, STILL_METHOD = 75, 4


def encode_webp(frames: Frames, loop: int, target_bytes: int, max_bytes: int, stop: Stop) -> bytes:
    """Encode at the best step that keeps to the bytes; seldom more than twice.

    `loop`: how often it plays, 0 for without end. StoppedError between encodings.
    """
    if len(frames) == 1:
        return encode_still(frames.images[0])
    pixels = frames.images[0].width * frames.images[0].height
    step: Step | None = first_step(frames.starts, pixels, target_bytes)
    while step is not None:
        if stop():
            raise StoppedError
        data = _encode(frames.thinned(step.gap_ms), step.quality, loop)
        if len(data) <= max_bytes:
            return data
        step = next_step(step, frames.starts, len(data), target_bytes)
    return encode_still(frames.images[0])


def encode_still(image: Image.Image) -> bytes:
    """A WebP of one frame."""
    import imageio.v3 as iio  # 0.05 s that an animation needs for nothing

    return iio.imwrite(
        "<bytes>",
        np.asarray(image),
        plugin="pillow",
        extension=".webp",
        quality=STILL_QUALITY,
        method=STILL_METHOD,
    )


def _encode(frames: Frames, quality: int, loop: int) -> bytes:
    if len(frames) == 1:
        return encode_still(frames.images[0])
    first, *others = frames.images
    file = io.BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=frames.shown_ms(),
        loop=loop,
        quality=quality,
        method=METHOD,
        kmax=0,  # no key frame but the first
    )
    return file.getvalue()

"""Encode small frames as a GIF, with one palette for all of them.

The palette comes from Pillow's octree: a fifth of the time of median cut and a quarter fewer
bytes. Colours are not dithered, which costs 15 % more bytes and flickers where nothing moves
(python -m benchmarks renditions --parameters).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from retrieval.errors import StoppedError
from retrieval.media import Stop
from retrieval.renditions.frames import Frames

# Of all frames, so many pixels are looked at for the palette.
SAMPLED_FRAMES, SAMPLED_SIDE = 8, 128
OPAQUE_FROM = 128  # of 255; a GIF's pixel is seen or it is not
METHOD, DITHER = Image.Quantize.FASTOCTREE, Image.Dither.NONE
UNIT_MS = 10  # a GIF's times are hundredths of a second


@dataclass(frozen=True)
class Step:
    """A way to encode: colours at most, and the shortest time from a frame to the next."""

    n_colours: int  # one of 256 stays free, for what is transparent
    gap_ms: int


# From the best to the smallest.
STEPS = (
    *(Step(255, 60), Step(128, 60), Step(128, 95), Step(64, 95), Step(64, 120), Step(32, 120)),
    *(Step(32, 150), Step(32, 200), Step(32, 250), Step(16, 250), Step(16, 330), Step(16, 500)),
    *(Step(16, 1000), Step(16, 2000), Step(16, 5000), Step(16, 20_000)),
)
# Bytes at a number of colours, relative to 255: medians over real GIFs at width 200.
RELATIVE_BYTES = {255: 1.0, 128: 0.91, 64: 0.77, 32: 0.56, 16: 0.38}


def encode_gif(frames: Frames, loop: int, target_bytes: int, max_bytes: int, stop: Stop) -> bytes:
    """Encode at the best step that keeps to the bytes; seldom more than twice.

    `loop`: how often it plays, 0 for without end. StoppedError between encodings.
    """
    steps: Sequence[Step] = STEPS
    while True:
        if stop():
            raise StoppedError
        step, *steps = steps
        data = encode_step(frames.thinned(step.gap_ms), step.n_colours, loop)
        if len(data) <= max_bytes or not steps:
            return data
        scale = len(data) / _relative_bytes(frames, step)
        fitting = [s for s in steps if scale * _relative_bytes(frames, s) <= target_bytes]
        steps = steps[steps.index(fitting[0]) :] if fitting else steps[-1:]


def _relative_bytes(frames: Frames, step: Step) -> float:
    """Bytes of a step in units of one frame with all colours."""
    return RELATIVE_BYTES[step.n_colours] * len(frames.thinned(step.gap_ms))


def encode_step(frames: Frames, n_colours: int, loop: int) -> bytes:
    """Encode these frames with so many colours; `loop` as above."""
    palette = _palette(frames.images, n_colours)
    options: dict[str, object] = {"optimize": False}
    if frames.images[0].mode == "RGBA":
        n_used = len(palette.getpalette() or ()) // 3
        options |= {"transparency": n_used, "disposal": 2}
        images = [_with_transparency(image, palette, n_used) for image in frames.images]
    else:
        images = [image.quantize(palette=palette, dither=DITHER)
                  for image in frames.images]  # fmt: skip
    if loop != 1:  # without a count it plays once, with one once more than that
        options["loop"] = max(0, loop - 1)
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
        options["duration"] = [max(UNIT_MS, ms) for ms in frames.shown_ms(UNIT_MS)]
    file = io.BytesIO()
    images[0].save(file, "GIF", **options)
    return file.getvalue()


def _palette(images: Sequence[Image.Image], n_colours: int) -> Image.Image:
    """A picture whose palette suits all of these."""
    sampled = images[:: -(-len(images) // SAMPLED_FRAMES)]
    sheet = Image.new("RGB", (SAMPLED_SIDE, SAMPLED_SIDE * len(sampled)))
    for number, image in enumerate(sampled):
        side = (SAMPLED_SIDE, SAMPLED_SIDE)
        small = image.convert("RGB").resize(side, Image.Resampling.NEAREST)
        sheet.paste(small, (0, SAMPLED_SIDE * number))
    return sheet.quantize(n_colours, method=METHOD, dither=Image.Dither.NONE)


def _with_transparency(image: Image.Image, palette: Image.Image, transparent: int) -> Image.Image:
    """The picture in these colours, `transparent` (one more) where nothing is to be seen."""
    indexed = image.convert("RGB").quantize(palette=palette, dither=DITHER)
    indexed.putpalette([*(palette.getpalette() or ()), 0, 0, 0])
    unseen = image.getchannel("A").point(lambda alpha: 255 * (alpha < OPAQUE_FROM))
    indexed.paste(transparent, mask=unseen)
    return indexed

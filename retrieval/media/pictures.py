"""Decoded frames as pictures: on white or with transparency, at full size or smaller.

Shrinking as part of the conversion saves two fifths of its time for a GIF's frame: only the small
picture's channels are put in order, 1.5 → 0.8 ms from 480 × 270 to width 200
(python -m benchmarks renditions --parameters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import av

# The upright position of each EXIF orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION = 0x0112  # EXIF tag


@dataclass(frozen=True)
class Look:
    """How frames are handed over. By default in full size, RGB, transparency on white."""

    max_size: tuple[int, int] | None = None  # (width, height); aspect kept, never enlarged
    keep_alpha: bool = False  # RGBA for a frame that is transparent anywhere

    def size(self, width: int, height: int) -> tuple[int, int]:
        """
        >>> Look(max_size=(200, 400)).size(480, 270), Look(max_size=(200, 400)).size(90, 60)
        ((200, 112), (90, 60))
        """
        if self.max_size is None:
            return width, height
        scale = min(1.0, self.max_size[0] / width, self.max_size[1] / height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def apply(self, image: Image.Image) -> Image.Image:
        """The picture in this size, on white unless its transparency is kept."""
        size = self.size(*image.size)
        if size != image.size:
            image = image.resize(size, Image.Resampling.BOX)
        if image.mode == "RGB" or (self.keep_alpha and image.mode == "RGBA"):
            return image
        return on_white(image)


AS_IT_IS = Look()


def from_frame(decoded: av.VideoFrame, look: Look) -> Image.Image:
    """A frame of a GIF, APNG or film."""
    if decoded.format.name == "bgra":  # GIF
        return _from_bgra(decoded.to_ndarray(), look)
    # A film has no alpha; it may be from a phone that was held upright.
    if decoded.format.name.startswith(("yuv4", "yuvj", "rgb24")):
        if look.max_size and not decoded.rotation:
            width, height = look.size(decoded.width, decoded.height)
            small = decoded.reformat(width, height, "rgb24", interpolation="AREA")
            return Image.fromarray(small.to_ndarray())
        image = Image.fromarray(decoded.to_ndarray(format="rgb24"))
    else:
        image = Image.fromarray(decoded.to_ndarray(format="rgba"))
    if decoded.rotation:
        image = image.rotate(decoded.rotation, expand=True)
    return look.apply(image)


def _from_bgra(pixels: np.ndarray, look: Look) -> Image.Image:
    """`pixels`: (height, width, 4) uint8."""
    height, width = pixels.shape[:2]
    is_opaque = bool((pixels[..., 3] == 255).all())
    size = look.size(width, height)
    rows = np.ascontiguousarray(pixels)  # ffmpeg pads them
    if size == (
        width,
        height,
    ):  # without an array of the colours in order: a 16 MP frame's has 48 MB
        mode, raw = ("RGB", "BGRX") if is_opaque else ("RGBA", "BGRA")
        return look.apply(Image.frombuffer(mode, (width, height), rows, "raw", raw, 0, 1))
    mode = "RGBX" if is_opaque else "RGBA"
    swapped = Image.frombuffer(mode, (width, height), rows, "raw", mode, 0, 1)
    blue, green, red, alpha = swapped.resize(size, Image.Resampling.BOX).split()
    if is_opaque:
        return Image.merge("RGB", (red, green, blue))
    return look.apply(Image.merge("RGBA", (red, green, blue, alpha)))


def from_picture(picture: Image.Image, look: Look) -> Image.Image:
    """A decoded JPEG, PNG or WebP, turned as its EXIF says."""
    turn = UPRIGHT.get(picture.getexif().get(ORIENTATION, 1))
    if picture.mode.startswith("I;16"):  # Pillow's own conversion clips 16-bit grey to white
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    return look.apply(picture if turn is None else picture.transpose(turn))


def on_white(image: Image.Image) -> Image.Image:
    """The picture in RGB, its transparent pixels on white."""
    if image.mode != "RGBA":
        image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")

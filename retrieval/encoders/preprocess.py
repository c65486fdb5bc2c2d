"""A picture to the pixels that a checkpoint's image tower takes, without torch.

The same as open_clip's inference transform up to the scaling of pixel values, which
the encoders do on whole batches. The part of the picture that a centre crop throws
away is never resized, which halves the time for wide GIFs; a pixel differs from
resizing first by a rounding, at most 2 of 255.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

RESIZE_MODES = ("shortest", "longest", "squash")
INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocess:
    """open_clip's preprocessing settings, and what they do to a picture."""

    size: tuple[int, int]  # (height, width) in pixels
    mean: tuple[float, float, float]  # of channel values from 0 to 1
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Preprocess:
        """From open_clip's `preprocess_cfg`; ValueError for what it cannot do."""
        size = settings["size"]
        height, width = size if isinstance(size, (tuple, list)) else (size, size)
        mode = settings["resize_mode"] or "shortest"
        interpolation = settings["interpolation"] or "bicubic"
        if mode not in RESIZE_MODES or interpolation not in INTERPOLATIONS:
            raise ValueError(f"resize mode {mode!r} with {interpolation!r} interpolation")
        return cls(
            (height, width),
            tuple(settings["mean"]),
            tuple(settings["std"]),
            interpolation,
            mode,
            settings["fill_color"],
        )

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Preprocess:
        """From its own fields as JSON gives them back: tuples come as lists."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        return cls(**values)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """The picture resized and cropped, uint8 (height, width, 3)."""
        if image.mode != "RGB":
            image = image.convert("RGB")
        height, width = self.size
        new_width, new_height = self._resized(image.width, image.height)
        # What of the resized picture is kept: a part of it, or all of it with a border.
        left, inner_width = _centred(new_width, width)
        top, inner_height = _centred(new_height, height)
        by_x, by_y = image.width / new_width, image.height / new_height
        box = (
            left * by_x,
            top * by_y,
            min((left + inner_width) * by_x, image.width),
            min((top + inner_height) * by_y, image.height),
        )
        if (inner_width, inner_height) != image.size or box != (0, 0, *image.size):
            resample = INTERPOLATIONS[self.interpolation]
            image = image.resize((inner_width, inner_height), resample, box)
        if image.size == (width, height):
            return np.asarray(image)
        pixels = np.full((height, width, 3), self.fill_color, np.uint8)
        y, x = (height - inner_height) // 2, (width - inner_width) // 2
        pixels[y : y + inner_height, x : x + inner_width] = np.asarray(image)
        return pixels

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after open_clip's resizing, before its crop."""
        to_height, to_width = self.size
        if self.resize_mode == "squash":
            return to_width, to_height
        if self.resize_mode == "shortest" and to_height == to_width:
            # torchvision's Resize rounds the longer side down
            if width <= height:
                return to_width, int(to_width * height / width)
            return int(to_height * width / height), to_height
        choose = max if self.resize_mode == "longest" else min
        ratio = choose(height / to_height, width / to_width)
        return max(1, round(width / ratio)), max(1, round(height / ratio))


def _centred(length: int, crop: int) -> tuple[int, int]:
    """(offset, length) of what a centre crop keeps of so many pixels."""
    return (round((length - crop) / 2), crop) if length > crop else (0, length)

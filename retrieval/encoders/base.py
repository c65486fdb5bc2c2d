"""The encoder protocol, and what all encoders share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from PIL import Image
BATCH_SIZE = 64
DEVICES = ("auto", "cpu", "cuda", "mps")
RUNTIMES = ("auto", "exported", "torch")
# Of the image tower. Text is always encoded in float32: it is one short row.
PRECISIONS = ("auto", "float32", "bfloat16", "int8")

Pixels: TypeAlias = (
    "Sequence[np.ndarray] | np.ndarray"  # prepared pictures, uint8 (height, width, 3) each
)

# Embeddings in bfloat16 count as the same from this cosine to float32 on.
SAME_EMBEDDING = 0.995


class Encoder(Protocol):
    """What search and build need of an encoder."""

    name: str  # as it was asked for: a preset, an open_clip name, local-dir:…, hf-hub:…
    pretrained: str | None  # the open_clip tag, where the name alone does not say it all
    dim: int
    fingerprint: str  # of the checkpoint: one fingerprint, one embedding space

    @property
    def label(self) -> str: ...

    @property
    def precision(self) -> str: ...  # of the image tower: float32, bfloat16 or int8

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The picture's pixels as `encode_pixels` takes them, uint8; in any thread."""
        ...

    def encode_pixels(self, pixels: Pixels) -> np.ndarray: ...

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray: ...

    def encode_text(self, texts: Sequence[str]) -> np.ndarray: ...


def batches(items: Any, size: int = BATCH_SIZE) -> Iterator[Any]:
    """The items in order, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def probe_pixels(size: tuple[int, int], n: int = 8) -> np.ndarray:
    """Made-up pictures with detail at every scale, uint8 (n, height, width, 3).

    For comparing two ways to compute an embedding where no real picture is at hand.
    """
    rng = np.random.default_rng(0)
    height, width = size
    y, x = np.mgrid[:height, :width] / max(size)
    pixels = np.zeros((n, height, width, 3))
    for picture in pixels:
        for octave in range(7):
            angle = rng.uniform(0, 2 * np.pi, 3)
            wave = (np.cos(angle) * x[..., None] + np.sin(angle) * y[..., None]) * 2**octave
            picture += np.sin(2 * np.pi * wave + rng.uniform(0, 2 * np.pi, 3)) / 1.5**octave
        picture -= picture.min()
        picture *= 255 / picture.max()
    return pixels.astype(np.uint8)

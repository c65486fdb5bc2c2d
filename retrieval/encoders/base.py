"""The encoder protocol, batching, and synthetic pictures for comparing encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

    from retrieval.encoders.checkpoint import Checkpoint

BATCH_SIZE = 64
DEVICES = ("auto", "cpu", "cuda", "mps")
RUNTIMES = ("auto", "exported", "torch")
# Of the image tower. Text is always encoded in float32: it is one short row.
PRECISIONS = ("auto", "float32", "bfloat16", "int8")

Pixels: TypeAlias = (
    "Sequence[np.ndarray] | np.ndarray"  # prepared pictures, uint8 (height, width, 3) each
)


class Encoder(Protocol):
    """What search and build need of an encoder."""

    checkpoint: Checkpoint
    dim: int
    fingerprint: str  # of weights and preprocessing: one fingerprint, one embedding space

    @property
    def label(self) -> str:
        """The checkpoint's spelling: "mini", "ViT-B-32/laion2b_s34b_b79k"."""
        ...

    @property
    def precision(self) -> str:
        """Of the image tower: float32, bfloat16 or int8."""
        ...

    @property
    def precision_note(self) -> str:
        """Why "auto" chose the precision, in a sentence; empty if it was not measured."""
        ...

    def prepare(self, image: Image.Image) -> np.ndarray:
        """Resize and crop to the pixels that `encode_pixels` takes, uint8; thread-safe."""
        ...

    def encode_pixels(self, pixels: Pixels) -> np.ndarray:
        """Unit embeddings of prepared pictures, float32 (n, dim)."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit embeddings of pictures, float32 (n, dim)."""
        ...

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings of texts, float32 (n, dim)."""
        ...


def batches(items: Any, size: int = BATCH_SIZE) -> Iterator[Any]:
    """Yield the items in order, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def probe_pixels(size: tuple[int, int], n: int = 8) -> np.ndarray:
    """Synthetic pictures with detail at every scale, uint8 (n, height, width, 3).

    For comparing two ways to compute an embedding without real pictures.
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

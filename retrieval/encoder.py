"""What an encoder is, and which one to take for a checkpoint.

Two give the same embeddings: the exported towers (retrieval.exported), which load in
under a second and need no torch, and open_clip itself (retrieval.open_clip_encoder),
which has every checkpoint and every device.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from retrieval.errors import CheckpointError, HubOfflineError
from retrieval.hub import MODELS, Address
from retrieval.presets import PRESETS
from retrieval.settings import user_cache

if TYPE_CHECKING:
    from PIL import Image

LOCAL_DIR = "local-dir:"
HF_HUB = MODELS
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


def load_encoder(
    name: str = "mini",
    pretrained: str | None = None,
    *,
    device: str = "auto",
    precision: str = "float32",
    runtime: str = "auto",
) -> Encoder:
    """The encoder of a checkpoint: exported where there is an export, else open_clip.

    An export lies beside the checkpoint's weights, in the user's cache, or, for
    hf-hub:OWNER/NAME (and @REVISION), in that repository, from which it is pulled.
    `precision` "auto" is bfloat16 where the processor multiplies it faster and the
    embeddings stay the same (cosine ≥ 0.995 to float32, tried on the spot), float32
    elsewhere. CheckpointError says what is missing and how to get it, HubError what the
    Hub refuses.
    """
    folder, torch_is_here = None, importlib.util.find_spec("torch") is not None
    kind = "int8" if precision == "int8" else "float32"
    if runtime != "torch" and device in ("auto", "cpu"):
        try:
            folder = find_export(name, pretrained, kind)
        except HubOfflineError:
            if runtime == "exported" or not torch_is_here:
                raise  # else open_clip may hold the checkpoint from an earlier time
        if device == "auto" and runtime == "auto" and folder and _has_accelerator():
            folder = None
    if folder:
        from retrieval.exported import ExportedEncoder

        pulled = folder != export_folder(name, pretrained, kind)  # and checked then
        return ExportedEncoder(folder, name, pretrained, precision=precision, check=not pulled)
    if runtime == "exported" or precision == "int8":
        tag = f" --pretrained {pretrained}" if pretrained else ""
        flag = " --precision int8" if kind == "int8" else ""
        raise CheckpointError(
            f"No {'int8 ' if flag else ''}export of {label_of(name, pretrained)} at "
            f"{export_folder(name, pretrained, kind)}. Make it: "
            f"python scripts/export_encoder.py --model {name}{tag}{flag}"
        )
    if not torch_is_here:
        raise CheckpointError(
            f"{label_of(name, pretrained)} has no export, and without one it needs torch, which "
            f"is not installed here. Install it (pip install -r requirements.txt), or export the "
            f"checkpoint elsewhere: python scripts/export_encoder.py, or publish_model.py."
        )
    from retrieval.open_clip_encoder import OpenClipEncoder

    return OpenClipEncoder(name, pretrained, device=device, precision=precision)


def _has_accelerator() -> bool:
    """Whether torch could compute elsewhere than on the CPU; asks the system, not torch."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()


def label_of(name: str, pretrained: str | None) -> str:
    """The checkpoint in one word: "mini", "ViT-B-32/laion2b_s34b_b79k"."""
    return f"{name}/{pretrained}" if pretrained else name


def split_label(label: str) -> tuple[str, str | None]:
    """(name, pretrained) of a checkpoint in one word, as `label_of` writes it.

    >>> split_label("ViT-B-32/laion2b_s34b_b79k"), split_label("hf-hub:me/clip")
    (('ViT-B-32', 'laion2b_s34b_b79k'), ('hf-hub:me/clip', None))
    """
    if label.startswith((LOCAL_DIR, HF_HUB)):
        return label, None
    name, _, pretrained = label.partition("/")
    return name, pretrained or None


def checkpoint_folder(name: str) -> Path | None:
    """The folder of a checkpoint that lies in one, None for those that open_clip fetches."""
    model = PRESETS[name].model if name in PRESETS else name
    return Path(model[len(LOCAL_DIR) :]) if model.startswith(LOCAL_DIR) else None


def export_folder(name: str, pretrained: str | None, precision: str) -> Path:
    """Where a checkpoint's export lies: beside its weights, or else in the user's cache."""
    folder = checkpoint_folder(name)
    if folder:
        return folder / "exported" / precision
    if name in PRESETS:
        name, pretrained = PRESETS[name].model, PRESETS[name].pretrained
    slug = re.sub(r"[^\w.-]+", "--", label_of(name, pretrained))
    return user_cache() / "exported" / slug / precision


def find_export(name: str, pretrained: str | None, precision: str = "float32") -> Path | None:
    """The folder of a checkpoint's export, if there is one here or in its repository.

    HubError or HubOfflineError if the repository cannot be asked.
    """
    folder = export_folder(name, pretrained, precision)
    if (folder / "encoder.json").is_file():
        return folder
    if not name.startswith(HF_HUB):
        return None
    from retrieval.exported import pull_export

    return pull_export(Address.parse(name), precision)


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

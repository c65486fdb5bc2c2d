"""Encode pictures and texts with any open_clip checkpoint, in torch.

The only module that imports torch and open_clip for serving, and only when an encoder is
loaded. Preprocessing and tokenizer come with the checkpoint, and the embeddings equal those of
open_clip's documented calls (tested). Decoding is in retrieval.media, ranking in
retrieval.search.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.encoders.base import BATCH_SIZE, Pixels, batches, probe_pixels
from retrieval.encoders.checkpoint import Checkpoint
from retrieval.encoders.precision import PrecisionMeasurement, cached_precision, measure_precision
from retrieval.encoders.preprocess import Preprocess
from retrieval.encoders.tokenizer import spell_out
from retrieval.encoders.weights import load_checkpoint, quiet, resolve_checkpoint
from retrieval.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from PIL import Image


class OpenClipEncoder:
    """An open_clip model with its preprocessing and its tokenizer.

    `fingerprint` is the SHA-256 of the weights and the preprocessing settings: encoders with
    the same fingerprint share an embedding space. `device` is auto, cpu, cuda or mps;
    `precision` is that of the image tower: float32, bfloat16 or auto.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | str = "mini",
        *,
        device: str = "cpu",
        precision: str = "float32",
    ):
        """Load the checkpoint; CheckpointError says what is missing."""
        import torch
        from open_clip import get_model_preprocess_cfg

        self._torch = torch
        self._device = _device(device)
        self.device = self._device.type
        self.checkpoint = Checkpoint.parse(checkpoint)
        resolved = resolve_checkpoint(self.checkpoint)
        with quiet():
            self.model, _, self.tokenizer = load_checkpoint(resolved)
        self.model.eval()
        self.spells_out_emoji = _has_unknown_emoji(self.tokenizer)
        # The padding token of a masked (Hugging Face) text tower, None for open_clip's own.
        text_config = getattr(getattr(self.model, "text", None), "config", None)
        self.trailing_pad = getattr(text_config, "pad_token_id", None)
        self.fingerprint = _fingerprint(self.model)
        try:
            self.prepare = Preprocess.of(get_model_preprocess_cfg(self.model))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{self.checkpoint} uses unsupported preprocessing ({error}); expected one of "
                f"open_clip's modes. Choose another checkpoint, such as --model siglip2."
            ) from error
        self.model.to(self._device)
        # ToTensor and Normalize of open_clip, for a whole batch at once.
        self._mean, self._std = (
            torch.tensor(values, device=self._device).view(1, 3, 1, 1)
            for values in (self.prepare.mean, self.prepare.std)
        )
        self.precision = "float32"
        self.dim = int(self.encode_text(["probe"]).shape[1])
        self.precision_note = ""  # why "auto" chose the precision
        self._set_precision(precision)

    def _set_precision(self, precision: str) -> None:
        """Convert the image tower; "auto" times both precisions and keeps the better one."""
        if precision == "float32" or (precision == "auto" and not self._has_bfloat16()):
            return
        if precision == "auto":
            device = self._device.type
            if device == "cuda":
                device = self._torch.cuda.get_device_name(self._device)
            runtime = f"torch {self._torch.__version__} on {device}"
            measured = cached_precision(self.fingerprint, runtime, self._measure)
            self.precision_note = str(measured)
            if measured.precision == "float32":
                return
        self.model.visual.bfloat16()
        self.precision = "bfloat16"

    def _measure(self) -> PrecisionMeasurement:
        towers = {"float32": self.model.visual}
        towers["bfloat16"] = copy.deepcopy(self.model.visual).bfloat16()

        def encode(precision: str, pixels: np.ndarray) -> np.ndarray:
            self.model.visual, self.precision = towers[precision], precision
            return self.encode_pixels(pixels)

        try:
            return measure_precision(
                lambda pixels: encode("float32", pixels),
                lambda pixels: encode("bfloat16", pixels),
                probe_pixels(self.prepare.size, BATCH_SIZE),
            )
        finally:
            self.model.visual, self.precision = towers["float32"], "float32"

    def _has_bfloat16(self) -> bool:
        """Whether bfloat16 could be faster here at all; elsewhere it is emulated."""
        if self._device.type == "cpu":
            # torch has no public function for it
            return bool(getattr(self._torch.cpu, "_is_avx512_bf16_supported", bool)())
        return self._device.type == "cuda" and bool(self._torch.cuda.is_bf16_supported())

    @property
    def label(self) -> str:
        """The checkpoint's spelling: "mini", "ViT-B-32/laion2b_s34b_b79k"."""
        return self.checkpoint.label

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit embeddings of the pictures, float32 (n, dim)."""
        return self.encode_pixels([self.prepare(image) for image in images])

    def encode_pixels(self, pixels: Pixels) -> np.ndarray:
        """Unit embeddings of prepared pictures, float32 (n, dim)."""

        def features(batch: Sequence[np.ndarray]) -> Any:
            raw = self._torch.from_numpy(np.stack(batch)).to(self._device)  # (b, h, w, 3)
            values = raw.permute(0, 3, 1, 2).float().div(255)
            values = values.sub_(self._mean).div_(self._std)
            return self.model.encode_image(
                values.bfloat16() if self.precision == "bfloat16" else values
            )

        return self._unit_rows(features, pixels)

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings of the texts, float32 (n, dim).

        A text longer than the checkpoint's context (77 tokens for CLIP, 64 for
        mini) is cut there, as open_clip does.
        """

        def features(batch: Sequence[str]) -> Any:
            return self.model.encode_text(self.tokenize(batch).to(self._device))

        return self._unit_rows(features, texts)

    def tokenize(self, texts: Sequence[str]) -> torch.Tensor:
        """Token numbers, int64 (n, context), or as wide as the longest text needs."""
        if self.spells_out_emoji:
            texts = [spell_out(text) for text in texts]
        tokens: torch.Tensor = self.tokenizer(list(texts))
        if self.trailing_pad is not None:
            # A masked text tower ignores padding; without it, a short message takes a quarter
            # of the time.
            longest = int((tokens != self.trailing_pad).sum(dim=1).max())
            tokens = tokens[:, : max(longest, 1)]
        return tokens

    def _unit_rows(self, features: Callable[[Any], torch.Tensor], items: Any) -> np.ndarray:
        """The features of the items, computed in batches and scaled to unit length."""
        normalize, rows = self._torch.nn.functional.normalize, []
        with self._torch.inference_mode():
            for batch in batches(items):
                rows.append(normalize(features(batch).float(), dim=-1).cpu().numpy())
        return np.concatenate(rows) if rows else np.zeros((0, self.dim), np.float32)


def _device(name: str) -> torch.device:
    """Return torch's device; CheckpointError if this machine lacks it."""
    import torch

    has = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if has[device])
    if not has.get(name):
        found = ", ".join(device for device, there in has.items() if there)
        raise CheckpointError(f"No device {name!r} here; torch finds {found}. Use --device auto.")
    return torch.device(name)


def _has_unknown_emoji(tokenizer: Any) -> bool:
    inner = getattr(tokenizer, "tokenizer", None)
    unknown = getattr(inner, "unk_token_id", None)
    return unknown is not None and bool((tokenizer(["🎉"]) == unknown).any())


def _fingerprint(model: Any) -> str:
    """SHA-256 (hex) over the weights, in name order, and the preprocessing settings."""
    from open_clip import get_model_preprocess_cfg

    digest = hashlib.sha256()
    digest.update(json.dumps(get_model_preprocess_cfg(model), sort_keys=True).encode())
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.contiguous().numpy())
    return digest.hexdigest()

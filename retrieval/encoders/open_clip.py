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
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.encoders.base import BATCH_SIZE, Pixels, batches, probe_pixels
from retrieval.encoders.checkpoint import LOCAL_DIR, Checkpoint
from retrieval.encoders.emoji_text import spell_out
from retrieval.encoders.precision import (
    PrecisionMeasurement,
    cached_precision,
    measure_precision,
)
from retrieval.encoders.preprocess import Preprocess
from retrieval.encoders.presets import PRESETS
from retrieval.errors import CheckpointError, HubOfflineError
from retrieval.hub import Address, pull

if TYPE_CHECKING:
    import torch
    from PIL import Image

CONFIG = "open_clip_config.json"
WHOLE_CHECKPOINT = "open_clip_model.safetensors"  # open_clip's own file name
TRAINED_PART = "trained.safetensors"  # beside the frozen text tower of `mini`


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
        resolved = _checked(self.checkpoint)
        with quiet():
            self.model, _, self.tokenizer = _load(resolved)
        self.model.eval()
        self.spells_out_emoji = _has_unknown_emoji(self.tokenizer)
        self.trailing_pad = _trailing_pad(self.model)
        self.fingerprint = _fingerprint(self.model)
        self.prepare = _preprocess(self.checkpoint, get_model_preprocess_cfg(self.model))
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
        done = []
        for batch in batches(pixels):
            raw = self._torch.from_numpy(np.stack(batch)).to(self._device)  # (b, h, w, 3)
            values = raw.permute(0, 3, 1, 2).float().div(255)
            values = values.sub_(self._mean).div_(self._std)
            if self.precision == "bfloat16":
                values = values.bfloat16()
            with self._torch.inference_mode():
                features = self.model.encode_image(values)
            done.append(self._unit(features))
        return self._joined(done)

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings of the texts, float32 (n, dim).

        A text longer than the checkpoint's context (77 tokens for CLIP, 64 for
        mini) is cut there, as open_clip does.
        """
        done = []
        for batch in batches(texts):
            tokens = self.tokenize(batch)
            with self._torch.inference_mode():
                features = self.model.encode_text(tokens.to(self._device))
            done.append(self._unit(features))
        return self._joined(done)

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

    def _unit(self, features: torch.Tensor) -> np.ndarray:
        unit = self._torch.nn.functional.normalize(features.float(), dim=-1)
        rows: np.ndarray = unit.cpu().numpy()
        return rows

    def _joined(self, done: list[np.ndarray]) -> np.ndarray:
        if not done:
            return np.zeros((0, self.dim), np.float32)
        return np.concatenate(done)


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


def _preprocess(checkpoint: Checkpoint, settings: dict[str, Any]) -> Preprocess:
    try:
        return Preprocess.of(settings)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint} uses unsupported preprocessing ({error}); expected one of "
            f"open_clip's modes. Choose another checkpoint, such as --model siglip2."
        ) from error


def _checked(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint without its preset name; CheckpointError if open_clip has none such."""
    import open_clip

    checkpoint = checkpoint.resolved
    name, tag = checkpoint.name, checkpoint.tag
    if checkpoint.kind in ("folder", "hub"):
        return checkpoint
    if name not in open_clip.list_models():
        raise CheckpointError(
            f"Unknown checkpoint {name!r}. Expected a preset ({', '.join(PRESETS)}), an "
            f"open_clip model name, local-dir:PATH or hf-hub:ORG/REPO."
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag is None:
        raise CheckpointError(
            f"{name} needs a pretrained tag. Choose one of: {', '.join(tags)} (--pretrained TAG)."
        )
    if tag not in tags and not Path(tag).is_file():
        raise CheckpointError(
            f"{name} has no pretrained tag {tag!r}. Choose one of: {', '.join(tags)}."
        )
    return checkpoint


def _load(checkpoint: Checkpoint) -> tuple[Any, Any, Any]:
    """(model, preprocess, tokenizer), with weights from safetensors only."""
    import open_clip

    if checkpoint.folder:
        return load_folder(checkpoint.folder)
    if checkpoint.address and (folder := _pulled(checkpoint.address)):
        return load_folder(folder)
    options: dict[str, Any] = {}
    if checkpoint.kind == "open_clip":
        options = {"pretrained": checkpoint.tag, "pretrained_text": False}
    try:
        _check_safetensors(checkpoint)
        model, _, preprocess = open_clip.create_model_and_transforms(checkpoint.model, **options)
        tokenizer = open_clip.get_tokenizer(checkpoint.model)
    except CheckpointError:
        raise
    except Exception as error:  # open_clip raises RuntimeError, OSError, … here
        raise CheckpointError(
            f"The weights of {checkpoint} could not be downloaded: {error}. Check the network "
            f"(needed once: they are cached), or use the shipped checkpoint: --model mini"
        ) from error
    return model, preprocess, tokenizer


def _pulled(address: Address) -> Path | None:
    """Download a checkpoint of one commit; None if open_clip has to download it.

    open_clip knows no revisions, and resolves the branch anew for each file; but only it finds
    a text tower or a tokenizer in another repository.
    """
    try:
        snapshot = pull(address, CONFIG)
    except HubOfflineError:
        if address.revision:
            raise
        return None
    if snapshot is None:
        raise CheckpointError(
            f"{address} holds no {CONFIG}, so open_clip cannot load it. Check the name."
        )
    if not address.revision and not _names_only(snapshot.folder / CONFIG, address.repo_id):
        return None
    beside = ("*.json", "*.txt", "*.model")  # settings and tokenizers, of the top folder
    snapshot.fetch_matching((WHOLE_CHECKPOINT, *beside), ignored=["*/*"])
    whole = (snapshot.folder / WHOLE_CHECKPOINT).is_file()
    return snapshot.folder if whole or address.revision else None


def _names_only(config_file: Path, repo_id: str) -> bool:
    """Whether open_clip's settings refer to no other repository than this one."""
    text_cfg = json.loads(config_file.read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
    named = (text_cfg.get("hf_model_name"), text_cfg.get("hf_tokenizer_name"))
    return all(name in (None, repo_id) for name in named)


def _check_safetensors(checkpoint: Checkpoint) -> None:
    """Download the weights to open_clip's cache and refuse all formats but safetensors."""
    import open_clip
    from open_clip.pretrained import download_pretrained_from_hf

    name, tag = checkpoint.name, checkpoint.tag
    if checkpoint.address:
        path = download_pretrained_from_hf(name)
    elif tag and Path(tag).is_file():
        path = tag
    else:
        path = open_clip.download_pretrained(open_clip.get_pretrained_cfg(name, tag))
    if Path(path).suffix != ".safetensors":
        raise CheckpointError(
            f"The weights of {checkpoint} are a pickle ({Path(path).name}), which is never "
            f"loaded. Choose a checkpoint with safetensors, such as --model siglip2."
        )


def load_folder(folder: Path, *, untrained: bool = False) -> tuple[Any, Any, Any]:
    """(model, preprocess, tokenizer) of a `local-dir:` checkpoint.

    Its weights may be split over several safetensors files. With `untrained`, TRAINED_PART is
    not read, so that its weights stay random: the starting point of training.
    """
    import open_clip
    from safetensors.torch import load_file

    config_file = folder / CONFIG
    if not config_file.is_file():
        raise CheckpointError(f"{folder} holds no {CONFIG}, so it is no local-dir: checkpoint.")
    name = f"{LOCAL_DIR}{folder}"
    files = [f for f in _weight_files(folder) if not (untrained and f.name == TRAINED_PART)]
    if not files:
        raise CheckpointError(f"{folder} holds no *.safetensors: the weights are missing.")
    options = {}
    text_cfg = json.loads(config_file.read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
    if "hf_model_name" in text_cfg and (folder / "config.json").is_file():
        # open_clip takes the tokenizer of a local-dir from the folder, but would ask
        # the Hub for the text tower's config.json: point it at the folder as well.
        options["text_cfg"] = {
            **text_cfg,
            "hf_model_name": str(folder),
            "hf_model_pretrained": False,
        }
    try:
        with quiet():
            model, _, preprocess = open_clip.create_model_and_transforms(
                name, load_weights=False, pretrained_text=False, **options
            )
        weights: dict[str, torch.Tensor] = {}
        for file in files:
            weights |= load_file(file)
        model.load_state_dict(weights, strict=not untrained)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # a damaged file can fail in any of the libraries below
        raise CheckpointError(
            f"{folder} could not be loaded as a checkpoint: {error}. "
            f"Fetch it again (for the shipped one: git checkout -- {folder.name})."
        ) from error
    return model, preprocess, tokenizer


def _weight_files(folder: Path) -> list[Path]:
    """The file of the whole checkpoint, or else all its parts, in name order."""
    files = sorted(folder.glob("*.safetensors"))
    return [f for f in files if f.name == WHOLE_CHECKPOINT] or files


def write_whole(folder: Path, out: Path) -> None:
    """Write all weights of a `local-dir:` checkpoint, unconverted, to one file in `out`."""
    from safetensors.torch import load_file, save_file

    weights: dict[str, torch.Tensor] = {}
    for file in _weight_files(folder):
        weights |= load_file(file)
    save_file(weights, out / WHOLE_CHECKPOINT, metadata={"format": "pt"})


def _has_unknown_emoji(tokenizer: Any) -> bool:
    inner = getattr(tokenizer, "tokenizer", None)
    unknown = getattr(inner, "unk_token_id", None)
    return unknown is not None and bool((tokenizer(["🎉"]) == unknown).any())


def _trailing_pad(model: Any) -> int | None:
    """The padding token of a masked (Hugging Face) text tower, None for open_clip's own."""
    config = getattr(getattr(model, "text", None), "config", None)
    return getattr(config, "pad_token_id", None)


def _fingerprint(model: Any) -> str:
    """SHA-256 (hex) over the weights, in name order, and the preprocessing settings."""
    from open_clip import get_model_preprocess_cfg

    digest = hashlib.sha256()
    digest.update(json.dumps(get_model_preprocess_cfg(model), sort_keys=True).encode())
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.contiguous().numpy())
    return digest.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence open_clip's log of loading steps, and its warning about weights loaded later."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)

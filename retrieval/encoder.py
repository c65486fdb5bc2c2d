"""Pictures and texts to unit embeddings, with any open_clip checkpoint.

The one module that imports torch and open_clip for serving, and only once an
encoder is loaded. Preprocessing and tokenizer travel with the checkpoint, and the
result is what open_clip's own documented calls give (tested). What this module
leaves out: decoding (retrieval.frames) and ranking (retrieval.search).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from retrieval.emoji_text import spell_out
from retrieval.errors import CheckpointError
from retrieval.presets import PRESETS

if TYPE_CHECKING:
    import torch
    from PIL import Image

LOCAL_DIR = "local-dir:"
HF_HUB = "hf-hub:"
WHOLE_CHECKPOINT = "open_clip_model.safetensors"  # open_clip's own file name
TRAINED_PART = "trained.safetensors"  # beside the frozen text tower of `mini`
BATCH_SIZE = 64


class Encoder(Protocol):
    """What search and build need of an encoder; `OpenClipEncoder` is the real one."""

    name: str  # as it was asked for: a preset, an open_clip name, local-dir:…, hf-hub:…
    pretrained: str | None  # the open_clip tag, where the name alone does not say it all
    dim: int
    fingerprint: str

    @property
    def label(self) -> str: ...

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray: ...

    def encode_text(self, texts: Sequence[str]) -> np.ndarray: ...


class OpenClipEncoder:
    """An open_clip model with its preprocessing and its tokenizer.

    `name` is a preset ("mini"), an open_clip model name with a `pretrained` tag,
    `local-dir:path` or `hf-hub:org/repo`. `fingerprint` is the SHA-256 of the
    weights and the preprocessing settings: two encoders with one fingerprint give
    the same embeddings.
    """

    def __init__(self, name: str = "mini", pretrained: str | None = None, device: str = "cpu"):
        """Load the checkpoint in float32; CheckpointError says what is missing."""
        import torch

        model_name, tag = _resolve(name, pretrained)
        self.name, self.pretrained = name, pretrained
        self._torch = torch
        self._device = torch.device(device)
        with _quiet():
            self._model, self._preprocess, self._tokenizer = _load(model_name, tag)
        self._model.eval().to(self._device)
        self._spell_out = _has_unknown_emoji(self._tokenizer)
        self._pad_id = _trailing_pad(self._model)
        self.fingerprint = _fingerprint(self._model)
        self.dim = int(self.encode_text(["probe"]).shape[1])

    @property
    def label(self) -> str:
        """The checkpoint in one word: "mini", "ViT-B-32/laion2b_s34b_b79k"."""
        return f"{self.name}/{self.pretrained}" if self.pretrained else self.name

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit embeddings of the pictures, float32 (n, dim)."""
        batches = []
        for batch in _batches(images):
            pixels = self._torch.stack([self._preprocess(image.convert("RGB")) for image in batch])
            with self._torch.inference_mode():
                features = self._model.encode_image(pixels.to(self._device))
            batches.append(self._unit(features))
        return self._joined(batches)

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings of the texts, float32 (n, dim).

        A text longer than the checkpoint's context (77 tokens for CLIP, 64 for
        mini) is cut there, as open_clip does.
        """
        batches = []
        for batch in _batches(texts):
            if self._spell_out:
                batch = [spell_out(text) for text in batch]
            tokens = self._tokenizer(list(batch))  # (b, context)
            if self._pad_id is not None:
                # A masked text tower gives the same with or without padding, and
                # is four times as fast on a short message without.
                longest = int((tokens != self._pad_id).sum(dim=1).max())
                tokens = tokens[:, : max(longest, 1)]
            with self._torch.inference_mode():
                features = self._model.encode_text(tokens.to(self._device))
            batches.append(self._unit(features))
        return self._joined(batches)

    def _unit(self, features: torch.Tensor) -> np.ndarray:
        unit = self._torch.nn.functional.normalize(features.float(), dim=-1)
        return unit.cpu().numpy()

    def _joined(self, batches: list[np.ndarray]) -> np.ndarray:
        if not batches:
            return np.zeros((0, self.dim), np.float32)
        return np.concatenate(batches)


def _batches(items: Sequence) -> Iterator[Sequence]:
    for start in range(0, len(items), BATCH_SIZE):
        yield items[start : start + BATCH_SIZE]


def _resolve(name: str, pretrained: str | None) -> tuple[str, str | None]:
    """The (model name, pretrained tag) that open_clip is asked for."""
    import open_clip

    if name in PRESETS:
        if pretrained:
            raise CheckpointError(
                f"Preset {name!r} already names its weights; --pretrained {pretrained!r} goes "
                f"with an open_clip model name such as {PRESETS['clip'].model}."
            )
        return PRESETS[name].model, PRESETS[name].pretrained
    if name.startswith((LOCAL_DIR, HF_HUB)):
        return name, None
    if name not in open_clip.list_models():
        raise CheckpointError(
            f"Unknown checkpoint {name!r}. Expected a preset ({', '.join(PRESETS)}), an "
            f"open_clip model name, local-dir:PATH or hf-hub:ORG/REPO."
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained is None:
        raise CheckpointError(
            f"{name} needs a pretrained tag. Choose one of: {', '.join(tags)} (--pretrained TAG)."
        )
    if pretrained not in tags and not Path(pretrained).is_file():
        raise CheckpointError(
            f"{name} has no pretrained tag {pretrained!r}. Choose one of: {', '.join(tags)}."
        )
    return name, pretrained


def _load(model_name: str, tag: str | None) -> tuple[Any, Any, Any]:
    """(model, preprocess, tokenizer), with weights from safetensors only."""
    import open_clip

    if model_name.startswith(LOCAL_DIR):
        return load_folder(Path(model_name[len(LOCAL_DIR) :]))
    try:
        _check_safetensors(model_name, tag)
        if model_name.startswith(HF_HUB):
            model, _, preprocess = open_clip.create_model_and_transforms(model_name)
        else:
            model, _, preprocess = open_clip.create_model_and_transforms(
                model_name, pretrained=tag, pretrained_text=False
            )
        tokenizer = open_clip.get_tokenizer(model_name)
    except CheckpointError:
        raise
    except Exception as error:  # open_clip raises bare RuntimeError, OSError, … here
        raise CheckpointError(
            f"The weights of {model_name}{'/' + tag if tag else ''} could not be had: {error}. "
            f"Check the network (once: they are kept), or use the shipped one: --model mini"
        ) from error
    return model, preprocess, tokenizer


def _check_safetensors(model_name: str, tag: str | None) -> None:
    """Fetch the weights (open_clip then finds them kept) and refuse all but safetensors."""
    import open_clip
    from open_clip.pretrained import download_pretrained_from_hf

    if model_name.startswith(HF_HUB):
        path = download_pretrained_from_hf(model_name[len(HF_HUB) :])
    elif tag and Path(tag).is_file():
        path = tag
    else:
        path = open_clip.download_pretrained(open_clip.get_pretrained_cfg(model_name, tag))
    if Path(path).suffix != ".safetensors":
        raise CheckpointError(
            f"The weights of {model_name} are a pickle ({Path(path).name}), which is never "
            f"loaded. Choose a checkpoint with safetensors, such as --model siglip2."
        )


def load_folder(folder: Path, *, untrained: bool = False) -> tuple[Any, Any, Any]:
    """(model, preprocess, tokenizer) of a `local-dir:` checkpoint.

    Its weights may be split over several safetensors files. With `untrained`, only
    files other than TRAINED_PART are read, and what they lack stays random: where
    training starts.
    """
    import open_clip
    from safetensors.torch import load_file

    config_file = folder / "open_clip_config.json"
    if not config_file.is_file():
        raise CheckpointError(
            f"{folder} holds no open_clip_config.json, so it is no local-dir: checkpoint."
        )
    name = f"{LOCAL_DIR}{folder}"
    files = sorted(folder.glob("*.safetensors"))
    files = [f for f in files if f.name == WHOLE_CHECKPOINT] or files
    if untrained:
        files = [f for f in files if f.name != TRAINED_PART]
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
        with _quiet():
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
def _quiet() -> Iterator[None]:
    """open_clip logs every loading step, and a warning for weights loaded by hand."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)

"""Pictures and texts to unit embeddings, with any open_clip checkpoint, in torch.

The one module that imports torch and open_clip for serving, and only once an
encoder is loaded. Preprocessing and tokenizer travel with the checkpoint, and the
result is what open_clip's own documented calls give (tested). What this module
leaves out: decoding (retrieval.media.frames) and ranking (retrieval.search.searcher).
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

from retrieval.encoders.base import SAME_EMBEDDING, Pixels, batches, probe_pixels
from retrieval.encoders.checkpoint import HF_HUB, LOCAL_DIR, label_of
from retrieval.encoders.emoji_text import spell_out
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

    `name` is a preset ("mini"), an open_clip model name with a `pretrained` tag,
    `local-dir:path` or `hf-hub:org/repo`, with @revision if it is to be fixed.
    `fingerprint` is the SHA-256 of the weights and the preprocessing settings: two
    encoders with one fingerprint give embeddings of one space. `device` is auto, cpu,
    cuda or mps; `precision` that of the image tower.
    """

    def __init__(
        self,
        name: str = "mini",
        pretrained: str | None = None,
        device: str = "cpu",
        precision: str = "float32",
    ):
        """Load the checkpoint; CheckpointError says what is missing."""
        import torch
        from open_clip import get_model_preprocess_cfg

        self._torch = torch
        self._device = _device(device)
        self.device = self._device.type
        model_name, tag = _resolve(name, pretrained)
        self.name, self.pretrained = name, pretrained
        with quiet():
            self.model, _, self.tokenizer = _load(model_name, tag)
        self.model.eval()
        self.spells_out_emoji = _has_unknown_emoji(self.tokenizer)
        self.trailing_pad = _trailing_pad(self.model)
        self.fingerprint = _fingerprint(self.model)
        self.prepare = _preprocess(name, get_model_preprocess_cfg(self.model))
        self.model.to(self._device)
        # ToTensor and Normalize of open_clip, for a whole batch at once.
        self._mean, self._std = (
            torch.tensor(values, device=self._device).view(1, 3, 1, 1)
            for values in (self.prepare.mean, self.prepare.std)
        )
        self.precision = "float32"
        self.dim = int(self.encode_text(["probe"]).shape[1])
        self._choose(precision)

    def _choose(self, precision: str) -> None:
        """Bring the image tower to a precision; "auto" tries bfloat16 and compares."""
        if precision == "float32" or (precision == "auto" and not self._bfloat16_is_faster()):
            return
        exact = copy.deepcopy(self.model.visual)
        self.model.visual.bfloat16()
        self.precision = "bfloat16"
        if precision == "auto":
            probes = probe_pixels(self.prepare.size)
            rounded = self.encode_pixels(probes)
            self.model.visual, exact = exact, self.model.visual
            self.precision = "float32"
            worst = float((rounded * self.encode_pixels(probes)).sum(axis=1).min())
            if worst >= SAME_EMBEDDING:
                self.model.visual, self.precision = exact, "bfloat16"

    def _bfloat16_is_faster(self) -> bool:
        if self._device.type == "cpu":
            # torch has no public question for it
            return bool(getattr(self._torch.cpu, "_is_avx512_bf16_supported", bool)())
        return self._device.type == "cuda" and bool(self._torch.cuda.is_bf16_supported())

    @property
    def label(self) -> str:
        """The checkpoint in one word: "mini", "ViT-B-32/laion2b_s34b_b79k"."""
        return label_of(self.name, self.pretrained)

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
        tokens = self.tokenizer(list(texts))
        if self.trailing_pad is not None:
            # A masked text tower gives the same with or without padding, and
            # is four times as fast on a short message without.
            longest = int((tokens != self.trailing_pad).sum(dim=1).max())
            tokens = tokens[:, : max(longest, 1)]
        return tokens

    def _unit(self, features: torch.Tensor) -> np.ndarray:
        unit = self._torch.nn.functional.normalize(features.float(), dim=-1)
        return unit.cpu().numpy()

    def _joined(self, done: list[np.ndarray]) -> np.ndarray:
        if not done:
            return np.zeros((0, self.dim), np.float32)
        return np.concatenate(done)


def _device(name: str) -> torch.device:
    """torch's device; CheckpointError if this machine lacks it."""
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


def _preprocess(name: str, settings: dict[str, Any]) -> Preprocess:
    try:
        return Preprocess.of(settings)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{name} prepares pictures in a way that is not known here ({error}); expected "
            f"one of open_clip's own. Choose another checkpoint, such as --model siglip2."
        ) from error


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
    if model_name.startswith(HF_HUB) and (folder := _pulled(model_name)):
        return load_folder(folder)
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


def _pulled(model_name: str) -> Path | None:
    """The folder with a hf-hub: checkpoint, all of one commit; None if open_clip must fetch it.

    open_clip knows no revisions, and asks anew for each file; but it alone finds a text tower
    or a tokenizer that lies in another repository.
    """
    address = Address.parse(model_name)
    try:
        snapshot = pull(address, CONFIG)
    except HubOfflineError:
        if address.revision:
            raise
        return None
    if snapshot is None:
        raise CheckpointError(
            f"{model_name} holds no {CONFIG}, so open_clip cannot load it. Check the name."
        )
    if not address.revision and not _names_only(snapshot.folder / CONFIG, address.repo_id):
        return None
    beside = ("*.json", "*.txt", "*.model")  # settings and tokenizers, of the top folder
    snapshot.fetch_matching((WHOLE_CHECKPOINT, *beside), ignored=["*/*"])
    whole = (snapshot.folder / WHOLE_CHECKPOINT).is_file()
    return snapshot.folder if whole or address.revision else None


def _names_only(config_file: Path, repo_id: str) -> bool:
    """Whether open_clip's settings name no other repository than this one."""
    text_cfg = json.loads(config_file.read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
    named = (text_cfg.get("hf_model_name"), text_cfg.get("hf_tokenizer_name"))
    return all(name in (None, repo_id) for name in named)


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
    """The whole checkpoint's one file, or else all parts, in name order."""
    files = sorted(folder.glob("*.safetensors"))
    return [f for f in files if f.name == WHOLE_CHECKPOINT] or files


def write_whole(folder: Path, out: Path) -> None:
    """All weights of a `local-dir:` checkpoint, as they are stored, as one file in `out`."""
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
    """open_clip logs every loading step, and a warning for weights loaded by hand."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)

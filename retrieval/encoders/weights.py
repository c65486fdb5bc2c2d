"""Load open_clip models from folders, the Hub and open_clip's own list; safetensors only."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.encoders.checkpoint import LOCAL_DIR, Checkpoint
from retrieval.encoders.presets import PRESETS
from retrieval.encoders.reaction_model import REACTIONS
from retrieval.errors import CheckpointError, HubOfflineError
from retrieval.hub import Address, pull

if TYPE_CHECKING:
    import torch

CONFIG = "open_clip_config.json"
WHOLE_CHECKPOINT = "open_clip_model.safetensors"  # open_clip's own file name
TRAINED_PART = "trained.safetensors"  # beside the frozen text tower of `mini`


def resolve_checkpoint(checkpoint: Checkpoint) -> Checkpoint:
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


def load_checkpoint(checkpoint: Checkpoint) -> tuple[Any, Any, Any]:
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
    named = (
        _text_config(snapshot.folder).get(f"hf_{kind}_name") for kind in ("model", "tokenizer")
    )
    if not address.revision and not all(name in (None, address.repo_id) for name in named):
        return None
    beside = ("*.json", "*.txt", "*.model")  # settings and tokenizers, of the top folder
    snapshot.fetch_matching((WHOLE_CHECKPOINT, REACTIONS, *beside), ignored=["*/*"])
    whole = (snapshot.folder / WHOLE_CHECKPOINT).is_file()
    return snapshot.folder if whole or address.revision else None


def _text_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return dict(config["model_cfg"]["text_cfg"])


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

    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder} holds no {CONFIG}, so it is no local-dir: checkpoint.")
    name = f"{LOCAL_DIR}{folder}"
    files = [f for f in _weight_files(folder) if not (untrained and f.name == TRAINED_PART)]
    if not files:
        raise CheckpointError(f"{folder} holds no *.safetensors: the weights are missing.")
    options = {}
    # open_clip takes the tokenizer of a local-dir from the folder, but would ask
    # the Hub for the text tower's config.json: point it at the folder as well.
    if local := _local_text_tower(folder):
        options["text_cfg"] = {**_text_config(folder), **local}
    try:
        with quiet():
            model, _, preprocess = open_clip.create_model_and_transforms(
                name, load_weights=False, pretrained_text=False, **options
            )
        model.load_state_dict(_load_files(files), strict=not untrained)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # a damaged file can fail in any of the libraries below
        raise CheckpointError(
            f"{folder} could not be loaded as a checkpoint: {error}. "
            f"Fetch it again (for the shipped one: git checkout -- {folder.name})."
        ) from error
    return model, preprocess, tokenizer


def count_parameters(checkpoint: Checkpoint) -> dict[str, int] | None:
    """The numbers of parameters of the "image" and the "text" tower, without loading weights.

    None where that cannot be told without a download.
    """
    import open_clip
    import torch

    resolved = checkpoint.resolved
    config: dict[str, Any] | None = None
    local: dict[str, object] = {}
    if resolved.folder and (resolved.folder / CONFIG).is_file():
        config = json.loads((resolved.folder / CONFIG).read_text(encoding="utf-8"))["model_cfg"]
        local = _local_text_tower(resolved.folder)
    elif resolved.kind == "open_clip":
        config = open_clip.get_model_config(resolved.name)
    if config is None or ("hf_model_name" in config["text_cfg"] and not local):
        return None
    config["text_cfg"] |= local
    has_own_text = config.pop("custom_text", False) or local
    build = open_clip.CustomTextCLIP if has_own_text else open_clip.CLIP
    with quiet(), torch.device("meta"):
        return parameters_of(build(**config))


def parameters_of(model: Any) -> dict[str, int]:
    """The numbers of parameters of a model's "image" and "text" tower."""
    counts = {"image": 0, "text": 0}
    for name, weights in model.named_parameters():
        counts["image" if name.startswith("visual.") else "text"] += weights.numel()
    return counts


def _local_text_tower(folder: Path) -> dict[str, object]:
    """What makes open_clip build a Hugging Face text tower from the folder, not from the Hub."""
    if "hf_model_name" in _text_config(folder) and (folder / "config.json").is_file():
        return {"hf_model_name": str(folder), "hf_model_pretrained": False}
    return {}


def _weight_files(folder: Path) -> list[Path]:
    """The file of the whole checkpoint, or else all its parts, in name order.

    The reaction model beside them is none of their weights.
    """
    files = sorted(f for f in folder.glob("*.safetensors") if f.name != REACTIONS)
    return [f for f in files if f.name == WHOLE_CHECKPOINT] or files


def _load_files(files: list[Path]) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {name: weight for file in files for name, weight in load_file(file).items()}


def write_whole(folder: Path, out: Path) -> None:
    """Write all weights of a `local-dir:` checkpoint, unconverted, to one file in `out`."""
    from safetensors.torch import save_file

    weights = _load_files(_weight_files(folder))
    save_file(weights, out / WHOLE_CHECKPOINT, metadata={"format": "pt"})


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

"""The folder that training writes to: a copy of a checkpoint's, with its frozen text tower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from retrieval.encoders import CHECKPOINTS
from retrieval.encoders.weights import CONFIG, TRAINED_PART
from retrieval.errors import OutputError


def check_folder(folder: Path) -> None:
    """OutputError unless training may write to the folder: a checkpoint with a text tower, whose
    TRAINED_PART, if there is one, came of an earlier training."""
    if not (folder / CONFIG).is_file():
        raise OutputError(
            f"{folder} holds no {CONFIG}: training writes into a copy of a checkpoint's folder. "
            f"Copy one: cp -r {CHECKPOINTS / 'mini'} {folder}"
        )
    file = folder / TRAINED_PART
    try:
        with safe_open(file, "np") as trained:
            ours = "logit_scale" in list(trained.keys()) and not file.is_symlink()
    except FileNotFoundError:
        ours = not file.is_symlink()
    except (OSError, SafetensorError):
        ours = False
    if not ours:
        raise OutputError(
            f"{file} is not of an earlier training, and would be overwritten. Move it away, or "
            f"name another --out. Nothing was written."
        )


def save_trained(folder: Path, model: Any, visual: nn.Module, text_proj: nn.Module) -> None:
    """Write all but the frozen text tower as float16 safetensors."""
    weights = {f"visual.{k}": v for k, v in visual.state_dict().items()}
    weights |= {f"text.proj.{k}": v for k, v in text_proj.state_dict().items()}
    weights["logit_scale"] = model.logit_scale.detach()
    half = {
        name: (w.half() if w.dtype.is_floating_point else w).contiguous()
        for name, w in weights.items()
    }
    partial = folder / f"{TRAINED_PART}.partial"
    save_file(half, partial)
    partial.replace(folder / TRAINED_PART)

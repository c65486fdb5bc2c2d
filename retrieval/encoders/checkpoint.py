"""How a checkpoint is named, and where its files lie."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.encoders.presets import PRESETS
from retrieval.hub import MODELS
from retrieval.paths import user_cache

if TYPE_CHECKING:
    pass

LOCAL_DIR = "local-dir:"
HF_HUB = MODELS


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

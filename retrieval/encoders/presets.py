"""Facts about checkpoints, as data: what a short name stands for.

A preset names a checkpoint as open_clip names it. Any other open_clip name,
`hf-hub:org/repo` or `local-dir:path` works without a preset.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"


@dataclass(frozen=True)
class Preset:
    """The checkpoint of a short name. docs/building.md says which to choose."""

    model: str  # open_clip model name, or local-dir: / hf-hub: with a path
    pretrained: str | None  # open_clip pretrained tag; None where the name says it all
    license: str
    card: str = ""  # address of its model card; empty: it lies beside the weights


PRESETS = {
    "mini": Preset(f"local-dir:{CHECKPOINTS / 'mini'}", None, "Apache-2.0"),
    "siglip2": Preset(
        "ViT-B-32-SigLIP2-256",
        "webli",
        "Apache-2.0",
        "https://huggingface.co/timm/ViT-B-32-SigLIP2-256",
    ),
    "clip": Preset(
        "ViT-B-32",
        "laion2b_s34b_b79k",
        "MIT",
        "https://huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    ),
    "xlmr": Preset(
        "xlm-roberta-base-ViT-B-32",
        "laion5b_s13b_b90k",
        "MIT",
        "https://huggingface.co/laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k",
    ),
    "fast": Preset(
        "MobileCLIP2-S0",
        "dfndr2b",
        "apple-amlr (research only)",
        "https://huggingface.co/timm/MobileCLIP2-S0-OpenCLIP",
    ),
}

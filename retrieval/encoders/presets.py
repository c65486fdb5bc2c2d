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
    """One checkpoint and what a person should know before choosing it."""

    name: str
    model: str  # open_clip model name, or local-dir: / hf-hub: with a path
    pretrained: str | None  # open_clip pretrained tag; None where the name says it all
    dim: int
    license: str
    languages: str
    note: str


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "mini",
            f"local-dir:{CHECKPOINTS / 'mini'}",
            None,
            256,
            "Apache-2.0",
            "English",
            "shipped with the project: works offline, for sticker-like art, not for photographs",
        ),
        Preset(
            "siglip2",
            "ViT-B-32-SigLIP2-256",
            "webli",
            768,
            "Apache-2.0",
            "many",
            "the recommended real checkpoint",
        ),
        Preset("clip", "ViT-B-32", "laion2b_s34b_b79k", 512, "MIT", "English", "the classic"),
        Preset(
            "xlmr",
            "xlm-roberta-base-ViT-B-32",
            "laion5b_s13b_b90k",
            512,
            "MIT",
            "about 100",
            "other languages first",
        ),
        Preset(
            "fast",
            "MobileCLIP2-S0",
            "dfndr2b",
            512,
            "apple-amlr (research only)",
            "English",
            "the fastest on a CPU; its licence allows research only",
        ),
    )
}

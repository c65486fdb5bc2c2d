"""Checkpoints: how they are named, and where their files lie.

| spelling | kind | loaded by |
|---|---|---|
| `mini` | preset | a short name for one of the others (retrieval.encoders.presets) |
| `ViT-B-32/laion2b_s34b_b79k` | open_clip | model name and pretrained tag of open_clip |
| `hf-hub:OWNER/NAME@REVISION` | hub | a model repository on the Hugging Face Hub |
| `local-dir:PATH` | folder | a folder with open_clip_config.json and safetensors |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retrieval.encoders.presets import PRESETS, Preset
from retrieval.errors import CheckpointError
from retrieval.hub import MODELS, Address
from retrieval.paths import user_cache

LOCAL_DIR = "local-dir:"
HF_HUB = MODELS

Kind = Literal["preset", "open_clip", "folder", "hub"]


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint, as a person names it. Equal names are equal checkpoints."""

    name: str  # preset, open_clip model name, path of a folder, or OWNER/NAME on the Hub
    tag: str | None = None  # open_clip pretrained tag, or a weights file; for open_clip only
    revision: str = ""  # branch, tag or commit on the Hub; empty: the default branch
    kind: Kind = "open_clip"

    @classmethod
    def parse(cls, name: str | Checkpoint, tag: str | None = None) -> Checkpoint:
        """Return the checkpoint of a spelling; `tag` is open_clip's, if it stands apart.

        CheckpointError for a preset with a tag, HubError for a malformed Hub address.

        >>> Checkpoint.parse("ViT-B-32/laion2b_s34b_b79k")
        Checkpoint(name='ViT-B-32', tag='laion2b_s34b_b79k', revision='', kind='open_clip')
        >>> Checkpoint.parse("hf-hub:me/clip@v2")
        Checkpoint(name='me/clip', tag=None, revision='v2', kind='hub')
        >>> Checkpoint.parse("mini").kind, Checkpoint.parse("local-dir:artifacts/mine").kind
        ('preset', 'folder')
        """
        if isinstance(name, Checkpoint):
            return name
        if name.startswith(LOCAL_DIR):
            return cls(name[len(LOCAL_DIR) :], kind="folder")
        if name.startswith(HF_HUB):
            address = Address.parse(name)
            return cls(address.repo_id, revision=address.revision, kind="hub")
        if not tag:
            name, _, rest = name.partition("/")
            tag = rest or None
        if name in PRESETS:
            if tag:
                raise CheckpointError(
                    f"Preset {name!r} already names its weights; --pretrained {tag!r} goes "
                    f"with an open_clip model name such as {PRESETS['clip'].model}."
                )
            return cls(name, kind="preset")
        return cls(name, tag)

    @classmethod
    def of_folder(cls, folder: Path | str) -> Checkpoint:
        """Return the checkpoint whose files lie in a folder."""
        return cls(str(folder), kind="folder")

    @property
    def model(self) -> str:
        """The spelling without an open_clip tag: what manifests keep as `checkpoint`.

        >>> Checkpoint.parse("ViT-B-32/openai").model, Checkpoint.parse("hf-hub:me/clip@v2").model
        ('ViT-B-32', 'hf-hub:me/clip@v2')
        """
        if self.kind == "folder":
            return f"{LOCAL_DIR}{self.name}"
        return str(self.address) if self.address else self.name

    @property
    def label(self) -> str:
        """The full spelling, which `parse` reads: "mini", "ViT-B-32/laion2b_s34b_b79k"."""
        return f"{self.model}/{self.tag}" if self.tag else self.model

    def __str__(self) -> str:
        return self.label

    @property
    def options(self) -> str:
        """The command-line options that select it."""
        return f"--model {self.model}{f' --pretrained {self.tag}' if self.tag else ''}"

    @property
    def preset(self) -> Preset | None:
        return PRESETS[self.name] if self.kind == "preset" else None

    @property
    def resolved(self) -> Checkpoint:
        """The checkpoint that a preset stands for; any other is itself.

        >>> Checkpoint.parse("clip").resolved.label
        'ViT-B-32/laion2b_s34b_b79k'
        """
        return Checkpoint.parse(self.preset.model, self.preset.pretrained) if self.preset else self

    @property
    def is_file(self) -> bool:
        """Whether it is open_clip's architecture with weights from a file of one's own."""
        return self.kind == "open_clip" and Path(self.tag or "").suffix == ".safetensors"

    @property
    def address(self) -> Address | None:
        """The model repository on the Hub, for checkpoints that name one."""
        return Address("model", self.name, self.revision) if self.kind == "hub" else None

    @property
    def folder(self) -> Path | None:
        """The folder with its files; None for checkpoints that are downloaded."""
        resolved = self.resolved
        return Path(resolved.name) if resolved.kind == "folder" else None

    def export_folder(self, precision: str) -> Path:
        """Where its export lies: beside the weights, or else in the user's cache."""
        if self.folder:
            return self.folder / "exported" / precision
        slug = re.sub(r"[^\w.-]+", "--", self.resolved.label)
        return user_cache() / "exported" / slug / precision

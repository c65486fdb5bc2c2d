"""The model card of a checkpoint: the README.md beside its weights, or its address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from retrieval.encoders.checkpoint import Checkpoint
from retrieval.encoders.presets import PRESETS
from retrieval.errors import HubError
from retrieval.hub import pull, split_front_matter

CARD, CONFIG = "README.md", "open_clip_config.json"
MAX_CHARS = 200_000  # of a card
HUB = "https://huggingface.co"
OPEN_CLIP_LIST = "https://github.com/mlfoundations/open_clip/blob/main/docs/PRETRAINED.md"


@dataclass(frozen=True)
class ModelCard:
    """What a checkpoint says of itself."""

    text: str = ""  # Markdown without front matter; empty if no card lies here
    address: str = ""  # on the web; empty for a folder
    facts: Mapping[str, Any] = field(default_factory=dict)  # the front matter
    tokenizer: str = ""  # as the configuration names it


@lru_cache(8)
def model_card(checkpoint: Checkpoint) -> ModelCard:
    """Read the card of a checkpoint, of a `hf-hub:` one from its repository, once per process.

    Never raises: a card that is missing, cannot be reached or is malformed is empty.
    """
    resolved = checkpoint.resolved
    if resolved.folder:
        return _read(resolved.folder)
    if resolved.address is None:
        named = resolved.name, resolved.tag
        cards = [p.card for p in PRESETS.values() if (p.model, p.pretrained) == named]
        return ModelCard(address=cards[0] if cards else "" if resolved.is_file else OPEN_CLIP_LIST)
    address = f"{HUB}/{resolved.address.repo_id}"
    with suppress(HubError):
        snapshot = pull(resolved.address, CARD)
        if snapshot:
            return _read(snapshot.folder, address)
    return ModelCard(address=address)


def _read(folder: Path, address: str = "") -> ModelCard:
    facts, text, tokenizer = dict[str, Any](), "", ""
    with suppress(OSError, ValueError, HubError):
        raw = (folder / CARD).read_text(encoding="utf-8")[:MAX_CHARS]
        text = raw
        facts, text = split_front_matter(raw)
    with suppress(OSError, ValueError, KeyError, TypeError):
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tokenizer = str(config["model_cfg"]["text_cfg"].get("hf_tokenizer_name", ""))
    return ModelCard(text, address, facts, tokenizer)

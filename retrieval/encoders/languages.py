"""Facts about checkpoints: which languages their text towers read.

| how it is known | example |
|---|---|
| the name, for checkpoints of open_clip's list | `ViT-B-32-SigLIP2-256`: about a hundred |
| `language` in the front matter of the model card | `mini`: English |
| the tokenizer in open_clip_config.json | `xlm-roberta-base`: about a hundred |

Of any other checkpoint nothing is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from retrieval.encoders.checkpoint import Checkpoint
from retrieval.encoders.model_card import ModelCard, model_card


@dataclass(frozen=True)
class Languages:
    """The languages that a checkpoint reads."""

    codes: tuple[str, ...] = ()  # ISO 639-1; empty: not known, or about a hundred
    is_multilingual: bool = False  # about a hundred languages, in every common script

    def reads(self, codes: Collection[str]) -> bool | None:
        """Return whether it reads one of these languages; None if that is not known.

        >>> ENGLISH.reads(["ko"]), ENGLISH.reads(["en"]), UNKNOWN.reads(["ko"])
        (False, True, None)
        """
        if self.is_multilingual:
            return True
        return bool(set(codes) & set(self.codes)) if self.codes else None


ENGLISH, MULTILINGUAL, UNKNOWN = Languages(("en",)), Languages((), True), Languages()

# Model names of open_clip: SigLIP 2 and SigLIP i18n (multilingual WebLI), XLM-RoBERTa
# (LAION-5B), NLLB-CLIP (201 languages), MetaCLIP 2 worldwide.
_MULTILINGUAL_NAME = re.compile(r"SigLIP2|SigLIP-i18n|^xlm-roberta|^nllb-clip|worldwide")
# Pretrained tags of open_clip whose training captions were chosen to be English. Those of
# unfiltered pools (commonpool, LAION aesthetic) are not among them.
_ENGLISH_TAG = re.compile(
    r"openai|laion400m|laion2b|mscoco|datacomp|dfn|metaclip_|merged2b|cc12m|yfcc15m"
)
# Multilingual vocabularies, as `hf_tokenizer_name` names them.
_MULTILINGUAL_TOKENIZER = re.compile(
    r"xlm-|xlm_|mt5|nllb|SigLIP2|SigLIP-i18n|multilingual|gemma", re.IGNORECASE
)


def languages_of(checkpoint: Checkpoint) -> Languages:
    """Return which languages a checkpoint reads.

    >>> languages_of(Checkpoint.parse("siglip2")).is_multilingual
    True
    >>> languages_of(Checkpoint.parse("ViT-B-32/openai")).codes
    ('en',)
    >>> languages_of(Checkpoint.parse("ViT-B-32/of-my-own.safetensors")) == UNKNOWN
    True
    """
    resolved = checkpoint.resolved
    if resolved.is_file:
        return UNKNOWN
    if resolved.kind == "open_clip":
        if _MULTILINGUAL_NAME.search(resolved.name):
            return MULTILINGUAL
        is_listed = _ENGLISH_TAG.match(resolved.tag or "")
        if is_listed or ("SigLIP" in resolved.name and resolved.tag == "webli"):
            return ENGLISH
        return UNKNOWN
    return _declared(model_card(resolved))


def _declared(card: ModelCard) -> Languages:
    named = card.facts.get("language")
    listed = named if isinstance(named, list) else [named]
    codes = [code.lower() for code in listed if isinstance(code, str)]  # YAML reads "no" as False
    if "multilingual" in codes:
        return MULTILINGUAL
    if codes:
        return Languages(tuple(codes))
    return MULTILINGUAL if _MULTILINGUAL_TOKENIZER.search(card.tokenizer) else UNKNOWN

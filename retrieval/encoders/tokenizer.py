"""Texts to token numbers as open_clip does it, without torch or transformers.

Runs on Hugging Face's `tokenizers`. An export (retrieval.encoders.export) writes the settings
and checks on sample texts that both give the same numbers.
"""

from __future__ import annotations

import html
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import emoji
import ftfy
import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

# Of open_clip's (OpenAI's) byte-pair tokenizer.
CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
# Of a row that is trimmed. For fewer than 7 rows of a matrix OpenVINO packs weights another way,
# and keeps both: 40 MB more with mini from the first short message on.
MIN_WIDTH = 8
CLEANINGS = ("whitespace", "lower", "canonicalize")  # the names of open_clip's

_SKIN_TONES = re.compile("[\U0001f3fb-\U0001f3ff]")


@dataclass(frozen=True)
class TokenSettings:
    """How one checkpoint's tokenizer differs from another's."""

    kind: str  # "clip": open_clip's own byte pairs; "hf": a Hugging Face tokenizer
    clean: str  # one of CLEANINGS
    context_length: int
    pad_id: int
    start_id: int = 0  # for "clip"
    end_id: int = 0
    zeroed_id: int | None = None  # a separator that the checkpoint was trained without
    spell_out_emoji: bool = False  # the vocabulary has none
    trim: bool = False  # the text tower masks padding: shorter rows give the same


def clean_text(text: str, cleaning: str) -> str:
    """Clean a text as open_clip does before it tokenizes; `cleaning` is one of CLEANINGS."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    if cleaning == "canonicalize":
        text = text.replace("_", " ").translate(str.maketrans("", "", string.punctuation))
    text = " ".join(text.split())
    return text if cleaning == "whitespace" else text.lower()


def spell_out(text: str) -> str:
    """The text with each emoji replaced by its CLDR name; skin tones are dropped.

    A BERT tokenizer turns 🎉 into [UNK], and the message loses its point. CLIP's and
    SigLIP's tokenizers know the bytes of an emoji, and are left alone.

    >>> spell_out("I got the job 🎉")
    'I got the job party popper'
    """
    named = emoji.replace_emoji(
        _SKIN_TONES.sub("", text),
        lambda char, data: f" {data['en'].strip(':').replace('_', ' ')} ",
    )
    return named if named == text else " ".join(named.split())


class Tokens:
    """A tokenizer from its file and its settings."""

    def __init__(self, file: Path, settings: TokenSettings):
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        if settings.kind == "hf":
            self._tokenizer.enable_truncation(settings.context_length)
        else:
            self._tokenizer.no_truncation()
        self.settings = settings

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Token numbers, int64 (n, context_length), or as wide as the longest if trimmed."""
        settings = self.settings
        rows = []
        for text in texts:
            if settings.spell_out_emoji:
                text = spell_out(text)
            ids = self._tokenizer.encode(clean_text(text, settings.clean)).ids
            if settings.kind == "clip":
                ids = [settings.start_id, *ids, settings.end_id]
                if len(ids) > settings.context_length:
                    ids = [*ids[: settings.context_length - 1], settings.end_id]
            rows.append(ids)
        width = settings.context_length
        if settings.trim:
            width = min(width, max(MIN_WIDTH, *map(len, rows)) if rows else MIN_WIDTH)
        tokens = np.full((len(rows), width), settings.pad_id, np.int64)
        for row, ids in zip(tokens, rows, strict=True):
            row[: len(ids)] = ids
        if settings.zeroed_id is not None:
            tokens[tokens == settings.zeroed_id] = 0
        return tokens


def clip_tokenizer(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """open_clip's SimpleTokenizer in the form that `tokenizers` reads and writes."""
    model = models.BPE(
        vocab=dict(vocabulary), merges=list(merges), end_of_word_suffix="</w>", fuse_unk=False
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer

"""The sentence encoder: mini's text tower before its projection (all-MiniLM-L6-v2).

It compares messages with names and with words in pictures, whatever checkpoint sees the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol, cast, runtime_checkable

import numpy as np

from retrieval.encoders.base import Encoder
from retrieval.encoders.checkpoint import Checkpoint
from retrieval.encoders.load import load_encoder

MINI = Checkpoint.parse("mini")


@runtime_checkable
class SentenceEncoder(Protocol):
    """What embeds sentences."""

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings of texts, float32 (n, 384)."""
        ...


def sentence_encoder(encoder: Encoder | None = None) -> SentenceEncoder:
    """Return the encoder itself if it is an exported mini, else one that all callers share.

    An encoder of another checkpoint that has mini's text tower as well says so by an attribute
    `sentences_of`. CheckpointError if mini's export is missing.
    """
    if isinstance(encoder, SentenceEncoder) and (
        getattr(encoder, "sentences_of", encoder.checkpoint) == MINI
    ):
        return encoder
    return _load()


@cache
def _load() -> SentenceEncoder:
    return cast(SentenceEncoder, load_encoder(MINI, runtime="exported"))

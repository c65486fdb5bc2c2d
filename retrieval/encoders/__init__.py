"""Encoders: checkpoints that embed texts and pictures as unit vectors.

The encoders themselves are imported from their modules (`retrieval.encoders.open_clip`,
`retrieval.encoders.openvino`, `retrieval.encoders.export`), because they need heavy libraries.
"""

from retrieval.encoders.base import (
    BATCH_SIZE,
    DEVICES,
    PRECISIONS,
    RUNTIMES,
    Encoder,
    Pixels,
    probe_pixels,
)
from retrieval.encoders.checkpoint import HF_HUB, LOCAL_DIR, Checkpoint
from retrieval.encoders.languages import Languages, languages_of
from retrieval.encoders.load import find_export, load_encoder
from retrieval.encoders.model_card import ModelCard, model_card
from retrieval.encoders.preprocess import Preprocess
from retrieval.encoders.presets import CHECKPOINTS, PRESETS
from retrieval.encoders.reaction_model import (
    REACTION_TEXTS,
    REACTIONS,
    ReactionModel,
    ReactionText,
    load_reaction_texts,
)
from retrieval.encoders.sentences import SentenceEncoder, sentence_encoder

__all__ = [
    "BATCH_SIZE",
    "CHECKPOINTS",
    "DEVICES",
    "HF_HUB",
    "LOCAL_DIR",
    "PRECISIONS",
    "PRESETS",
    "REACTIONS",
    "REACTION_TEXTS",
    "RUNTIMES",
    "Checkpoint",
    "Encoder",
    "Languages",
    "ModelCard",
    "Pixels",
    "Preprocess",
    "ReactionModel",
    "ReactionText",
    "SentenceEncoder",
    "find_export",
    "languages_of",
    "load_encoder",
    "load_reaction_texts",
    "model_card",
    "probe_pixels",
    "sentence_encoder",
]

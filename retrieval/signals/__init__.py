"""What is known of a GIF beyond its frames: its names, its words, and the reaction that it is."""

from retrieval.signals.measure import Measured, signal_weights
from retrieval.signals.names import name_of, split_name
from retrieval.signals.phrases import likeness
from retrieval.signals.reaction import ReactionModel
from retrieval.signals.store import (
    SIGNALS,
    GifSignals,
    known_sentences,
    write_signals,
)

__all__ = [
    "SIGNALS",
    "GifSignals",
    "Measured",
    "ReactionModel",
    "known_sentences",
    "likeness",
    "name_of",
    "signal_weights",
    "split_name",
    "write_signals",
]

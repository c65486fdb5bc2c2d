"""What is known of a GIF beyond its frames: its names, its words, and the reaction that it is."""

from retrieval.signals.measure import Measured, signal_weights
from retrieval.signals.names import name_of, split_name
from retrieval.signals.phrases import LETTER_CONSTANTS, likeness
from retrieval.signals.reaction import Reactions
from retrieval.signals.store import (
    SENTENCES,
    SIGNALS_FOLDER,
    GifSignals,
    is_current,
    known_sentences,
    signals_of,
    write_signals,
)

__all__ = [
    "LETTER_CONSTANTS",
    "SENTENCES",
    "SIGNALS_FOLDER",
    "GifSignals",
    "Measured",
    "Reactions",
    "is_current",
    "known_sentences",
    "likeness",
    "name_of",
    "signal_weights",
    "signals_of",
    "split_name",
    "write_signals",
]

"""What the operators of a message allow: `"quoted text"` must stand there, `-word` must not."""

from __future__ import annotations

import re

import numpy as np

from retrieval.library import Catalog
from retrieval.search.query import Message
from retrieval.signals import GifSignals, name_of


def apply_operators(
    message: Message | None,
    allowed: np.ndarray | None,
    records: Catalog,
    signals: GifSignals | None,
) -> np.ndarray | None:
    """Return which of the allowed GIFs the message allows, too, bool (n,); None for all."""
    if message is None or not (message.required or message.excluded):
        return allowed
    allowed = np.ones(len(records), bool) if allowed is None else allowed.copy()
    for phrase in message.required:
        mask = np.zeros(len(records), bool)
        mask[containing(phrase, records, signals)] = True
        allowed &= mask
    for word in message.excluded:
        allowed[containing(word, records, signals)] = False
    return allowed


def containing(phrase: str, records: Catalog, signals: GifSignals | None) -> np.ndarray:
    """Return the numbers of the GIFs whose words or name contain a phrase, ascending."""
    if signals:
        return signals.phrases.containing(phrase)
    wanted = re.compile(rf"\b{re.escape(phrase.casefold())}\b")
    texts = (
        " / ".join((record.title, name_of(record), *(text.text for text in record.texts)))
        for record in records
    )
    found = [number for number, text in enumerate(texts) if wanted.search(text.casefold())]
    return np.array(found, np.int64)

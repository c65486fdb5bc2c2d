"""The parts of a query: weighted terms, filters, pasted chats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrieval.errors import QueryError
from retrieval.library import Catalog

MAX_MESSAGE_CHARS = 2_000  # any checkpoint cuts a message far earlier, at 64 to 77 tokens
NEGATIVE_WEIGHT = -0.5
MAX_CHAT_LINES = 6  # earlier lines would count for less than 2 % of the last one


@dataclass(frozen=True)
class Term:
    """One part of a query: a message or the embedding of an image, and its weight."""

    content: str | np.ndarray  # an image comes as a unit embedding (dim,)
    weight: float = 1.0


@dataclass(frozen=True)
class Filter:
    """Conditions on a result; an empty set allows all."""

    tags: frozenset[str] = frozenset()  # at least one of them
    licenses: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    animated_only: bool = False
    min_score: float | None = None

    def mask(self, catalog: Catalog) -> np.ndarray | None:
        """Return which GIFs are allowed, bool (n,); None if all are. Ignores `min_score`."""
        masks = [
            column.mask(values)
            for column, values in (
                (catalog.tags, self.tags),
                (catalog.licenses, self.licenses),
                (catalog.sources, self.sources),
            )
            if values
        ]
        if self.animated_only:
            masks.append(catalog.animated)
        return np.logical_and.reduce(masks) if masks else None


def chat_terms(text: str) -> list[Term]:
    """Return the lines of a pasted chat as terms, each with half the weight of the next.

    >>> [(t.content, t.weight) for t in chat_terms("any news?\\nI got the job!")]
    [('any news?', 0.5), ('I got the job!', 1.0)]
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()][-MAX_CHAT_LINES:]
    return [Term(line, 0.5 ** (len(lines) - 1 - i)) for i, line in enumerate(lines)]


def check_message(message: str) -> None:
    """Raise QueryError if the message is empty or too long."""
    if not message.strip():
        raise QueryError('The message is empty. Type one, such as "I got the job 🎉".')
    if len(message) > MAX_MESSAGE_CHARS:
        raise QueryError(
            f"The message has {len(message):,} characters; at most {MAX_MESSAGE_CHARS:,} are "
            f"searched for. Shorten it to the sentence that matters."
        )

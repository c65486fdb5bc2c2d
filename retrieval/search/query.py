"""What can be asked: terms, filters, chats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrieval.errors import QueryError
from retrieval.library import Record

MAX_MESSAGE_CHARS = 2_000  # any checkpoint cuts a message far earlier, at 64 to 77 tokens
NEGATIVE_WEIGHT = -0.5
MAX_CHAT_LINES = 6  # what was said before counts for less than 2 % of the last line


@dataclass(frozen=True)
class Term:
    """One part of a query: a message or a picture's embedding, and how much it counts."""

    content: str | np.ndarray  # a picture comes as a unit embedding (dim,)
    weight: float = 1.0


@dataclass(frozen=True)
class Filter:
    """What a result must be; an empty set allows all."""

    tags: frozenset[str] = frozenset()  # at least one of them
    licenses: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    animated_only: bool = False
    min_score: float | None = None

    def allows(self, record: Record) -> bool:
        """Whether the record passes; `min_score` is the search's to check."""
        return (
            (not self.tags or bool(self.tags & set(record.tags)))
            and (not self.licenses or record.license in self.licenses)
            and (not self.sources or record.source in self.sources)
            and (not self.animated_only or record.n_frames > 1)
        )


def chat_terms(text: str) -> list[Term]:
    """The lines of a pasted chat as terms; each counts half of the one after it.

    >>> [(t.content, t.weight) for t in chat_terms("any news?\\nI got the job!")]
    [('any news?', 0.5), ('I got the job!', 1.0)]
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()][-MAX_CHAT_LINES:]
    return [Term(line, 0.5 ** (len(lines) - 1 - i)) for i, line in enumerate(lines)]


def check_message(message: str) -> None:
    """QueryError unless the message has something in it and is of a sane length."""
    if not message.strip():
        raise QueryError('The message is empty. Type one, such as "I got the job 🎉".')
    if len(message) > MAX_MESSAGE_CHARS:
        raise QueryError(
            f"The message has {len(message):,} characters; at most {MAX_MESSAGE_CHARS:,} are "
            f"searched for. Shorten it to the sentence that matters."
        )

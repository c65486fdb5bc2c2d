"""The parts of a query: weighted terms, filters, pasted chats."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from retrieval.errors import QueryError
from retrieval.library import Catalog
from retrieval.signals import Reactions

MAX_MESSAGE_CHARS = 2_000  # any checkpoint cuts a message far earlier, at 64 to 77 tokens
NEGATIVE_WEIGHT = -0.5
RECOGNISED = 0.1  # probability from which a reaction counts as recognised in a message
_QUOTED = re.compile(r'["“”„]([^"“”„]+)["“”]')
_EXCLUDED = re.compile(r"(?:(?<=\s)|^)-([^\W\d_][\w']*)")
MAX_CHAT_LINES = 6  # earlier lines would count for less than 2 % of the last one


@dataclass(frozen=True)
class Term:
    """One part of a query: a message or the embedding of an image, and its weight."""

    content: str | np.ndarray  # an image comes as a unit embedding (dim,)
    weight: float = 1.0


@dataclass(frozen=True)
class Message:
    """A message without its operators: what must stand in a GIF's words or name, what must not."""

    text: str
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @classmethod
    def parse(cls, message: str) -> Message:
        """Split `"quoted text"` and `-word` off a message; quoted text stays part of it.

        QueryError if nothing is left to search for.

        >>> Message.parse('he said "no way" -cat')
        Message(text='he said no way', required=('no way',), excluded=('cat',))
        """
        required = tuple(" ".join(found.split()) for found in _QUOTED.findall(message))
        excluded = tuple(_EXCLUDED.findall(_QUOTED.sub(" ", message)))
        text = _QUOTED.sub(r"\1", _EXCLUDED.sub(" ", message)) if excluded else message
        text = " ".join(_QUOTED.sub(r"\1", text).split()) if required or excluded else text
        if excluded and not text:
            raise QueryError(
                f"The message only says what must not be there (-{excluded[0]}). Say as well what "
                f"the GIF answers."
            )
        return cls(text, tuple(phrase for phrase in required if phrase), excluded)


@dataclass(frozen=True)
class Query:
    """A question ready to be ranked by; parts that it does not have are None."""

    vector: np.ndarray  # unit, in the checkpoint's space (dim,)
    message: Message | None = None
    answers: np.ndarray | None = None  # near texts that answer the message, (384,)
    reactions: np.ndarray | None = None  # probability of each that is called for, (43,)

    def called_for(self, least: float = RECOGNISED) -> dict[str, float]:
        """Return the reactions with at least this probability, the likeliest first."""
        if self.reactions is None:
            return {}
        likely = zip(Reactions.load().categories, self.reactions.tolist(), strict=True)
        found = sorted(likely, key=lambda reaction: -reaction[1])
        return {name: probability for name, probability in found if probability >= least}

    def with_reactions(
        self, insisted: Collection[str] = (), removed: Collection[str] = ()
    ) -> Query:
        """Return the query for some reactions only, or for all but those that are removed.

        What is left keeps its proportions and sums to 1. QueryError if nothing is left, or a
        name is none of the 43 categories.
        """
        if self.reactions is None or not (insisted or removed):
            return self
        categories = Reactions.load().categories
        unknown = sorted({*insisted, *removed} - {*categories})
        if unknown:
            raise QueryError(f"Unknown reaction {unknown[0]!r}. Known: {', '.join(categories)}.")
        kept = [name in (insisted or categories) and name not in removed for name in categories]
        # A reaction that is insisted on may have a probability of 0.
        left = np.where(kept, np.maximum(self.reactions, 1e-9), 0)
        if not left.any():
            raise QueryError("Every reaction is turned off. Leave one on.")
        return replace(self, reactions=left / left.sum())


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

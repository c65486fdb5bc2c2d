"""The numbers that rank, by name, for the search engine of a static site (retrieval.site)."""

from __future__ import annotations

from collections.abc import Mapping

from retrieval.search import fusion, query
from retrieval.signals import Measured, signal_weights

_OF_FUSION = (
    "SCORE_ALL",
    "CANDIDATES",
    "RRF_CONSTANT",
    "BY_LETTER",
    "ALIKE_FROM",
    "FULL_LENGTH",
    "COMPARED",
    "SLOPE",
    "VARIED",
    "VARIED_FROM",
    "VARIETY",
    "SURE_KIND",
)
_OF_QUERIES = ("MAX_MESSAGE_CHARS", "RECOGNISED", "MAX_CHAT_LINES")


def ranking_constants() -> Mapping[str, float]:
    """Return the constants of fusion and queries by their names in lower case."""
    named = {name: getattr(fusion, name) for name in _OF_FUSION}
    named |= {name: getattr(query, name) for name in _OF_QUERIES}
    return {name.lower(): value for name, value in named.items()}


def ranking_weights(measured: Measured) -> Mapping[str, object]:
    """Return the weights of signals, plain and learned, and the intercept for a library."""
    sight = measured.sight
    learned = {
        name: weight + sight * fusion.LEARNED_BY_SIGHT[name]
        for name, weight in fusion.LEARNED.items()
    }
    return {
        "sum": signal_weights(measured),
        "learned": learned,
        "intercept": fusion.INTERCEPT + fusion.INTERCEPT_BY_SIGHT * sight,
    }

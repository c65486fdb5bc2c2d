"""Orders of a collection that need no question: as catalogued, by a reaction, by chance.

An order holds the numbers of all GIFs, so that every page of it is a slice.
"""

from __future__ import annotations

import numpy as np

from retrieval.errors import QueryError
from retrieval.library import Catalog
from retrieval.signals import GifSignals, Reactions


def browsing_order(
    n: int, signals: GifSignals | None, reaction: str, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of n GIFs in order, and each GIF's score by its number.

    The score is the part of `reaction` in what the GIF expresses, 0 without a reaction.
    QueryError if reactions are not known of this collection.
    """
    if reaction:
        categories = Reactions.load().categories
        if signals is None or reaction not in categories:
            raise QueryError(f"Which GIFs express {reaction!r} is not known of this library.")
        scores = signals.kinds[:, categories.index(reaction)]
        return np.argsort(-scores, kind="stable"), scores
    scores = np.zeros(n, np.float32)
    if seed is None:
        return np.arange(n), scores
    return varied_order(n, seed, signals.main_reactions if signals else None), scores


def varied_order(n: int, seed: int, main_reactions: np.ndarray | None) -> np.ndarray:
    """A random order in which reactions take turns; the same for the same seed.

    `main_reactions` (n,) is each GIF's likeliest one. Without it the order is merely random.
    """
    order = np.random.default_rng(seed).permutation(n)
    if main_reactions is None:
        return order
    reactions = main_reactions[order]
    by_reaction = np.argsort(reactions, kind="stable")
    starts = np.searchsorted(reactions[by_reaction], reactions[by_reaction])
    turn = np.empty(n, np.int64)  # how many GIFs of its reaction come before each
    turn[by_reaction] = np.arange(n) - starts
    return order[np.argsort(turn, kind="stable")]


def narrowed(
    order: np.ndarray, allowed: np.ndarray | None, records: Catalog, fold: bool
) -> np.ndarray:
    """The order without what is not allowed; with `fold`, one GIF of each group."""
    if allowed is not None:
        order = order[allowed[order]]
    if fold:
        order = order[records.one_of_each_group(order)]
    return order

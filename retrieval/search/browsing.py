"""Orders of a collection that need no question: as catalogued, by a reaction, by chance.

Each returns the numbers of all GIFs that are allowed, so that every page of it is a slice.
"""

from __future__ import annotations

import numpy as np

from retrieval.library import Catalog


def catalogue_order(n: int) -> np.ndarray:
    """The GIFs as they stand in the catalogue, int64 (n,)."""
    return np.arange(n)


def reaction_order(kinds: np.ndarray, reaction: int) -> np.ndarray:
    """The GIFs that express a reaction most first; `kinds` (n, 43) as in GifSignals."""
    return np.argsort(-kinds[:, reaction], kind="stable")


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
        order = order[np.sort(np.unique(records.groups[order], return_index=True)[1])]
    return order

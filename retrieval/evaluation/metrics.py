"""Ranking metrics, each defined where it is computed.

All take, for every query, the ranks (from 1) at which its relevant GIFs stand; a
query has at least one. Definitions as in Manning, Raghavan & Schütze (2008), ch. 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

Ranks = Sequence[Sequence[int]]


def hit_rate_at_k(ranks: Ranks, k: int) -> float:
    """Share of the queries with at least one relevant GIF among the first k.

    >>> hit_rate_at_k([[1, 9], [6]], k=5)
    0.5
    """
    return float(np.mean([min(found) <= k for found in ranks]))


def recall_at_k(ranks: Ranks, k: int) -> float:
    """Mean share of a query's relevant GIFs that are among the first k.

    With one relevant GIF a query this is hit_rate_at_k.

    >>> recall_at_k([[1, 9], [6]], k=5)
    0.25
    """
    return float(np.mean([np.mean(np.asarray(found) <= k) for found in ranks]))


def mrr(ranks: Ranks) -> float:
    """Mean reciprocal rank of the first relevant GIF.

    >>> mrr([[2, 3], [1]])
    0.75
    """
    return float(np.mean([1 / min(found) for found in ranks]))


def chance_hit_rate_at_k(n_relevant: Sequence[int], n_corpus: int, k: int) -> float:
    """hit_rate_at_k of a random order: 1 - C(n - r, k) / C(n, k), mean over queries.

    >>> chance_hit_rate_at_k([1], n_corpus=10, k=5)
    0.5
    """
    return float(np.mean([1 - comb(n_corpus - r, k) / comb(n_corpus, k) for r in n_relevant]))


def ranks_of(scores: np.ndarray, relevant: np.ndarray) -> list[list[int]]:
    """Ranks of the relevant columns of each row of scores, both (n_queries, n_corpus)."""
    order = np.argsort(-scores, axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(1, scores.shape[1] + 1)[None], axis=1)
    return [sorted(p[r].tolist()) for p, r in zip(place, relevant, strict=True)]


def overlap_at_k(scores: np.ndarray, others: np.ndarray, k: int) -> float:
    """Mean share of a query's first k that two score tables (n_queries, n_corpus) have in common.

    >>> overlap_at_k(np.array([[3, 2, 1]]), np.array([[3, 1, 2]]), k=2)
    0.5
    """
    firsts = [np.argsort(-table, axis=1, kind="stable")[:, :k] for table in (scores, others)]
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(*firsts, strict=True)]))

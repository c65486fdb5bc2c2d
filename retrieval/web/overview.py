"""Summarize a collection: near-duplicate groups, and a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.library import Record
from retrieval.search import Searcher

MAX_MAPPED = 2_000  # points on the map; t-SNE takes a minute at 2,000 on 2 cores


def near_duplicates(searcher: Searcher) -> list[list[Record]]:
    """Return the groups of two or more records that search would fold, largest first."""
    records = searcher.collection.records
    leaders, sizes = np.unique(records.groups, return_counts=True)
    groups = [records.group_members(leader) for leader in leaders[sizes > 1].tolist()]
    return sorted(([records[i] for i in group.tolist()] for group in groups), key=len, reverse=True)


def project(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Project unit vectors to a map, float32 (n, 2), on which near vectors lie near.

    t-SNE (van der Maaten & Hinton, 2008) by scikit-learn; distances between far groups
    mean nothing.
    """
    n = len(vectors)
    if n < 4:
        return np.stack([np.arange(n), np.zeros(n)], axis=1).astype(np.float32)
    from sklearn.manifold import TSNE  # takes a second to import, for one page

    perplexity = min(20.0, (n - 1) / 3)
    places = TSNE(metric="cosine", perplexity=perplexity, init="random", random_state=seed)
    return np.asarray(places.fit_transform(vectors), np.float32)


def sample_of(records: Sequence[Record], n: int = MAX_MAPPED, seed: int = 0) -> list[int]:
    """Return the numbers of at most n records, drawn at random, ascending."""
    if len(records) <= n:
        return list(range(len(records)))
    return sorted(np.random.default_rng(seed).choice(len(records), n, replace=False).tolist())

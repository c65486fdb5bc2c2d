"""Know your data: what a collection holds, in numbers, groups and a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.library import UNKNOWN_LICENSE, Record
from retrieval.search import Searcher

MAX_MAPPED = 2_000  # points on the map; t-SNE takes a minute at 2,000 on 2 cores


@dataclass(frozen=True)
class Overview:
    """Counts over a collection."""

    n_gifs: int
    n_frames: int
    n_animated: int
    n_unknown_license: int


def overview(searcher: Searcher) -> Overview:
    """The collection's counts."""
    records = searcher.collection.records
    return Overview(
        n_gifs=len(records),
        n_frames=len(searcher.collection.embeddings),
        n_animated=sum(record.n_frames > 1 for record in records),
        n_unknown_license=sum(record.license == UNKNOWN_LICENSE for record in records),
    )


def near_duplicates(searcher: Searcher) -> list[list[Record]]:
    """Groups of two or more records that search would fold, largest first."""
    records = searcher.collection.records
    groups = searcher.near_duplicate_groups()
    found = [[records[i] for i in group] for group in groups if len(group) > 1]
    return sorted(found, key=len, reverse=True)


def project(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """A place on a map for each unit vector, float32 (n, 2): near ones near each other.

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
    """Indices of at most n records, spread at random, ascending."""
    if len(records) <= n:
        return list(range(len(records)))
    return sorted(np.random.default_rng(seed).choice(len(records), n, replace=False).tolist())

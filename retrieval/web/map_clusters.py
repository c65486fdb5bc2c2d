"""Clusters of the places on a map, each named by what its GIFs have most in common.

That is the reaction that they express more than the rest of the library does, from the signals
of the bundle; in a bundle without, the tag or word of their titles that is most typical of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.encoders import ReactionModel
from retrieval.library import Catalog, Record
from retrieval.signals import split_name

MIN_CLUSTERED = 12  # GIFs; fewer are seen at a glance
MAX_CLUSTERS = 24
SAME_NAME_APART = 0.25  # of the map's width: nearer clusters of one name are one cluster
MIN_WORD = 3  # letters of a word that may name a cluster
MIN_NAMED = 2  # GIFs that share the word


@dataclass(frozen=True)
class Cluster:
    """A part of the map."""

    reaction: str  # a category, or ""
    word: str  # a tag or a word, where there is no reaction; "" if nothing is typical
    x: float  # the middle of its GIFs, 0 to 1
    y: float
    n_gifs: int

    @property
    def name(self) -> str:
        return self.reaction or self.word


def find_clusters(
    places: np.ndarray, gifs: np.ndarray, catalog: Catalog, kinds: np.ndarray | None
) -> tuple[list[Cluster], np.ndarray]:
    """Return the clusters of places (n, 2), and the index of each GIF's cluster, -1 for none.

    `kinds` says how much each GIF of the catalogue expresses each reaction, (n_gifs, 43).
    """
    n = len(places)
    if n < MIN_CLUSTERED:
        return [], np.full(n, -1, np.int64)
    from sklearn.cluster import KMeans

    k = min(MAX_CLUSTERS, max(3, round(math.sqrt(n) / 1.5)))
    with np.errstate(all="ignore"):
        labels = KMeans(k, n_init=4, random_state=0).fit_predict(places).astype(np.int64)
    if kinds is None:
        words = [words_of(catalog[gif]) for gif in gifs.tolist()]
        names = typical_words(labels, words, k)
    else:
        names = main_reactions(labels, np.asarray(kinds[gifs], np.float32), k)
    labels = merge_same(places, labels, names)
    clusters = []
    for label in np.unique(labels).tolist():
        inside = places[labels == label]
        x, y = inside.mean(axis=0).tolist()
        reaction, word = ("", names[label]) if kinds is None else (names[label], "")
        clusters.append(Cluster(reaction, word, round(x, 4), round(y, 4), len(inside)))
    return clusters, np.unique(labels, return_inverse=True)[1].reshape(-1)


def main_reactions(labels: np.ndarray, kinds: np.ndarray, k: int) -> list[str]:
    """The reaction that each cluster's GIFs express most, compared with all that are mapped.

    In standard deviations: some reactions vary little over a library.
    """
    categories = ReactionModel.load().categories
    usual, deviation = kinds.mean(axis=0), np.maximum(kinds.std(axis=0), 1e-4)
    names = []
    for label in range(k):
        inside = kinds[labels == label]
        most = int(((inside.mean(axis=0) - usual) / deviation).argmax()) if len(inside) else -1
        names.append(categories[most] if most >= 0 else "")
    return names


def words_of(record: Record) -> set[str]:
    """The tags and the words of the title of a GIF, in lower case."""
    words = [*(tag.lower() for tag in record.tags), *split_name(record.title).split()]
    return {word for word in words if len(word) >= MIN_WORD}


def typical_words(labels: np.ndarray, words: Sequence[set[str]], k: int) -> list[str]:
    """The word that is most typical of each cluster: frequent in it, and rare elsewhere.

    Its part in the Kullback-Leibler divergence of the cluster from all: p log(p / q).
    """
    everywhere = Counter(word for of_gif in words for word in of_gif)
    names = []
    for label in range(k):
        members = np.flatnonzero(labels == label).tolist()
        inside = Counter(word for i in members for word in words[i])
        scores = {}
        for word, count in inside.items():
            share, usual = count / len(members), everywhere[word] / len(words)
            if count >= MIN_NAMED:
                scores[word] = share * math.log(share / usual)
        best = max(sorted(scores), key=scores.__getitem__, default="")
        names.append(best if best and scores[best] > 0 else "")
    return names


def merge_same(places: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Give clusters of one name the same label where their middles are near; returns labels."""
    labels = labels.copy()
    while True:
        found = np.unique(labels).tolist()
        middles = {label: places[labels == label].mean(axis=0) for label in found}
        pair = next(
            (
                (a, b)
                for a in found
                for b in found
                if a < b
                and names[a] == names[b]
                and np.linalg.norm(middles[a] - middles[b]) < SAME_NAME_APART
            ),
            None,
        )
        if pair is None:
            return labels
        labels[labels == pair[1]] = pair[0]

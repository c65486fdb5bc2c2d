"""Sentence embeddings of the texts of GIFs, several to a GIF or none, and their index.

NAME.rows   int32, the GIF of each text, ascending
NAME.f16    float16 (n, 384), the unit embeddings
NAME.faiss  the index over them
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.library import VectorIndex, map_vectors, plan_index

SENTENCE_DIM = 384


@dataclass(frozen=True)
class TextVectors:
    """The texts of one kind (names, or words in the picture) of a collection's GIFs."""

    gifs: np.ndarray  # int32 (rows,), ascending
    index: VectorIndex
    mean: np.ndarray  # of the rows, (384,)
    covariance: np.ndarray  # (384, 384)

    @classmethod
    def open(cls, folder: Path, name: str, statistics: np.ndarray, n: int) -> TextVectors | None:
        """Read one kind of texts of n GIFs; None if no GIF has any.

        ValueError or BundleError if the parts do not fit one another, or the GIFs.
        """
        gifs = np.fromfile(folder / f"{name}.rows", "<i4")
        if not len(gifs):
            return None
        if not 0 <= gifs[0] <= gifs[-1] < n or (np.diff(gifs) < 0).any():
            raise ValueError(f"{name}.rows names other GIFs than 0 to {n - 1:,}, ascending")
        vectors = map_vectors(folder / f"{name}.f16", SENTENCE_DIM)
        index = VectorIndex.load(folder / f"{name}.faiss", vectors, _parameters(len(gifs)))
        if not len(gifs) == len(vectors) == len(index) or index.dim != SENTENCE_DIM:
            raise ValueError(f"{name}: {len(gifs)} rows, {len(vectors)} vectors, {len(index)}")
        return cls(gifs, index, statistics[0], statistics[1:])

    def candidates(self, query: np.ndarray, n: int, allowed: np.ndarray | None) -> np.ndarray:
        """Return the GIFs of the n texts nearest to a query (384,), without repetition."""
        rows_allowed = None if allowed is None else allowed[self.gifs]
        _, rows = self.index.search(query, n, rows_allowed)
        return np.unique(self.gifs[rows]).astype(np.int64)

    def scores(self, query: np.ndarray, gifs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the best score of a text of each GIF, and its row; nan and -1 for none.

        In standard deviations of the scores of all texts.
        """
        starts = np.searchsorted(self.gifs, gifs)
        lengths = np.searchsorted(self.gifs, gifs, side="right") - starts
        firsts = np.cumsum(lengths) - lengths
        rows = np.arange(lengths.sum()) + np.repeat(starts - firsts, lengths)
        scores = np.full(len(gifs), np.nan, np.float32)
        best = np.full(len(gifs), -1, np.int64)
        if len(rows):
            found = self.index.scores(query, rows)
            owner = np.repeat(np.arange(len(gifs)), lengths)
            order = np.lexsort((-found, owner))
            owners, at = np.unique(owner[order], return_index=True)
            scores[owners] = found[order][at]
            best[owners] = rows[order][at]
        variance = query @ np.einsum("ij,j->i", self.covariance, query)  # no threads for a query
        deviation = np.sqrt(max(float(variance), 1e-12))
        return (scores - query @ self.mean) / np.float32(deviation), best


def write_text_vectors(
    folder: Path, name: str, gifs: np.ndarray, vectors: np.ndarray
) -> np.ndarray:
    """Write the three files; returns the mean and covariance of the rows, (385, 384)."""
    half = np.asarray(vectors, np.float16).reshape(-1, SENTENCE_DIM)
    np.asarray(gifs, "<i4").tofile(folder / f"{name}.rows")
    half.tofile(folder / f"{name}.f16")
    if not len(half):
        return np.zeros((SENTENCE_DIM + 1, SENTENCE_DIM), np.float32)
    VectorIndex.build(half, plan_index(len(half), SENTENCE_DIM)).save(folder / f"{name}.faiss")
    return statistics_of(half)


def statistics_of(vectors: np.ndarray) -> np.ndarray:
    """Return the mean of unit vectors (n, dim), and below it their covariance, (dim + 1, dim)."""
    dim = vectors.shape[1]
    total, squares = np.zeros(dim), np.zeros((dim, dim))
    for at in range(0, len(vectors), 16_384):
        block = np.asarray(vectors[at : at + 16_384], np.float32)
        total += block.sum(axis=0)
        squares += block.T @ block
    mean = total / len(vectors)
    covariance = squares / len(vectors) - np.outer(mean, mean)
    return np.vstack([mean, covariance]).astype(np.float32)


def _parameters(n: int) -> dict[str, int]:
    return dict(plan_index(n, SENTENCE_DIM).parameters)

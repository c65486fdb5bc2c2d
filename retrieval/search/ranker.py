"""Rank the GIFs of a collection: by their means or their best frames, filtered, folded.

With mean pooling a row of the index is a GIF; with the best frame pooled it is a frame,
and the first frame of each GIF in the index's answer is its best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.library import Catalog, FrameEmbeddings, Record, VectorIndex

# Fetched from the index to begin with; four times as many follow if they are too few. These steps
# do not depend on how many are asked for, so that a longer answer starts like a shorter one, even
# from an approximate index.
FIRST_GIFS = 40
GIFS_PER_FOLDED = 2  # for each result, beyond the result itself, if near-duplicates are folded
FRAMES_PER_GIF = 16  # for each GIF, if its best frame is pooled


class Ranker:
    """The rows of a collection's GIFs in its index, and their ranking."""

    def __init__(self, records: Catalog, frames: FrameEmbeddings, index: VectorIndex, pooling: str):
        self._records, self._frames, self._index = records, frames, index
        self.starts = frames.starts()  # the row at which each GIF's frames start, and end
        self.ends = np.append(self.starts[1:], len(frames))
        self._has_means = pooling == "mean"  # in the index, one row per GIF

    def rank(
        self, query: np.ndarray, top_k: int, allowed: np.ndarray | None, least: float, fold: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (scores, numbers) of the top_k GIFs; with `fold`, of one GIF per group."""
        n = FIRST_GIFS + (GIFS_PER_FOLDED * FIRST_GIFS if fold else 0)
        scores, gifs = np.zeros(0, np.float32), np.zeros(0, np.int64)
        while True:
            found_scores, found = self.nearest(query, n, allowed)
            passing = int(np.count_nonzero(found_scores >= least))
            is_all = len(found) < n or passing < len(found)
            is_new = ~np.isin(found[:passing], gifs)
            scores = np.concatenate([scores, found_scores[:passing][is_new]])
            gifs = np.concatenate([gifs, found[:passing][is_new]])
            kept = self._records.one_of_each_group(gifs) if fold else slice(None)
            if is_all or len(gifs[kept]) >= top_k:
                return scores[kept][:top_k], gifs[kept][:top_k]
            n *= 4

    def nearest(
        self, query: np.ndarray, n: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (scores, numbers) of the n GIFs that the index finds; fewer if that is all."""
        if self._has_means:
            return self._index.search(query, n, allowed)
        return self._search_best_frames(query, n, allowed)

    def _search_best_frames(
        self, query: np.ndarray, n: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (scores, numbers) of the n GIFs with the best frames, or of all allowed."""
        gif_of_row = self._frames.gif_numbers
        n_frames = FRAMES_PER_GIF * n
        while True:
            scores, rows = self._index.search(
                query, n_frames, None if allowed is None else allowed[gif_of_row]
            )
            # The first frame of each GIF is its best.
            firsts = np.sort(np.unique(gif_of_row[rows], return_index=True)[1])
            if len(firsts) >= n or len(rows) < n_frames:
                return scores[firsts[:n]], gif_of_row[rows[firsts[:n]]].astype(np.int64)
            n_frames *= 4

    def folded(
        self, query: np.ndarray, gif: int, allowed: np.ndarray | None, least: float
    ) -> tuple[Record, ...]:
        """Return the near-duplicates that a result stands for, best first."""
        records = self._records
        members = records.group_members(int(records.groups[gif]))
        if len(members) == 1:
            return ()
        members = members[members != gif]
        if allowed is not None:
            members = members[allowed[members]]
        scores = self.scores_of(query, members)
        order = np.lexsort((members, -scores))
        return tuple(records[i] for i in members[order[scores[order] >= least]].tolist())

    def means(self, gifs: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return unit mean embeddings of the GIFs with these numbers, float32 (n, dim)."""
        gifs = np.asarray(gifs, np.int64)
        if self._has_means:
            return unit(np.asarray(self._index.vectors[gifs], np.float32))
        if not len(gifs):
            return np.zeros((0, self._index.dim), np.float32)
        rows, firsts = self._rows_of(gifs)
        vectors = np.asarray(self._frames.vectors[rows], np.float32)
        return unit(np.add.reduceat(vectors, firsts, axis=0))

    def scores_of(self, query: np.ndarray, gifs: np.ndarray) -> np.ndarray:
        """Return the exact score of each of the GIFs, float32 (n,)."""
        if self._has_means or not len(gifs):
            return self._index.scores(query, gifs)
        rows, firsts = self._rows_of(gifs)
        return np.maximum.reduceat(self._index.scores(query, rows), firsts)

    def _rows_of(self, gifs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the GIFs' frames, one GIF after the other, and where each GIF starts there."""
        lengths = self.ends[gifs] - self.starts[gifs]
        firsts = np.cumsum(lengths) - lengths
        return np.arange(lengths.sum()) + np.repeat(self.starts[gifs] - firsts, lengths), firsts


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

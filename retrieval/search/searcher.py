"""Encode the query, search the index, fold near-duplicates, and score the frames of results.

Only frames are ranked: titles and tags are shown, never matched. A GIF's score is the
cosine between the query and its frames, pooled as the bundle's manifest says: that of the
mean of its frames (the index then holds one row per GIF), or of its best frame (one row
per frame).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from retrieval.encoders import Encoder, load_encoder
from retrieval.errors import MediaError, QueryError
from retrieval.hub import Progress
from retrieval.library import (
    Bundle,
    Catalog,
    FrameEmbeddings,
    Record,
    VectorIndex,
    gif_means,
)
from retrieval.media import Stop, convert_media
from retrieval.search.query import NEGATIVE_WEIGHT, Filter, Term, check_message

DEFAULT_TOP_K = 8

# Fetched from the index to begin with; four times as many follow if they are too few.
GIFS_PER_FOLDED = 2  # for each result, beyond the result itself, if near-duplicates are folded
FRAMES_PER_GIF = 16  # for each GIF, if its best frame is pooled


@dataclass(frozen=True)
class FrameScore:
    """One embedded frame of a GIF and its cosine to the query."""

    index: int
    time_ms: int
    score: float


@dataclass(frozen=True)
class Result:
    """One ranked GIF, with the scores of its frames."""

    rank: int  # from 1
    score: float  # cosine, higher is better
    record: Record
    uri: str  # a path that can be opened, or a URL
    frames: tuple[FrameScore, ...]  # in order of time
    folded: tuple[Record, ...] = ()  # near-duplicates that it stands for, best first

    @property
    def _best(self) -> FrameScore:
        return max(self.frames, key=lambda frame: frame.score)

    @property
    def best_frame(self) -> int:
        """The best frame's index in the animation."""
        return self._best.index

    @property
    def best_frame_ms(self) -> int:
        return self._best.time_ms


class Collection(Protocol):
    """GIFs that can be searched: a bundle, or uploaded files.

    Row i of the index is GIF i if `pooling` is "mean", frame i if it is "best_frame".
    """

    @property
    def name(self) -> str: ...

    @property
    def records(self) -> Catalog: ...

    @property
    def embeddings(self) -> FrameEmbeddings: ...

    @property
    def index(self) -> VectorIndex: ...

    @property
    def pooling(self) -> str: ...

    def media_path(self, record: Record) -> str: ...

    def check_encoder(self, encoder: Encoder) -> None: ...


class Searcher:
    """A collection and its encoder."""

    def __init__(self, collection: Collection, encoder: Encoder):
        """BundleError if the collection was embedded with another checkpoint."""
        collection.check_encoder(encoder)
        self.collection = collection
        self.encoder = encoder
        self._frames = collection.embeddings
        self._starts = self._frames.starts()
        self._ends = np.append(self._starts[1:], len(self._frames))
        self._has_means = collection.pooling == "mean"  # in the index, one row per GIF

    @classmethod
    def open(
        cls,
        where: Path | str,
        encoder: Encoder | None = None,
        progress: Progress | None = None,
        checkpoint: str = "",
    ) -> Searcher:
        """Open the bundle in a folder or at an hf:// address, with its encoder (`encoder_of`)."""
        bundle = Bundle.open(where, progress)
        return cls(bundle, encoder or encoder_of(bundle, checkpoint))

    def ask(
        self,
        message: str | None = None,
        *,
        image: Path | bytes | None = None,
        negative: str | None = None,
        top_k: int = DEFAULT_TOP_K,
        fold: bool = False,
        keep: Filter | None = None,
    ) -> list[Result]:
        """Return the top_k GIFs for a message, an image or both, best first.

        `negative` is a text to be far from. QueryError if there is neither message nor
        image, or the message is empty or too long; MediaError if the image cannot be read.
        """
        terms = []
        if message is not None:
            terms.append(Term(message))
        if image is not None:
            terms.append(Term(self.embed_image(image)))
        if not terms:
            raise QueryError('Nothing was asked. Type a message, such as "I got the job 🎉".')
        if negative:
            terms.append(Term(negative, NEGATIVE_WEIGHT))
        return self.search(self.embed(terms), top_k, fold=fold, keep=keep)

    def ask_all(self, messages: Sequence[str], top_k: int = DEFAULT_TOP_K) -> list[list[Result]]:
        """Return the results of `ask` for each message, in order, encoded in batches."""
        for message in messages:
            check_message(message)
        return [self.search(vector, top_k) for vector in self.encoder.encode_text(messages)]

    def embed(self, terms: Sequence[Term]) -> np.ndarray:
        """Return the weighted sum of the terms' unit embeddings at unit length, float32 (dim,)."""
        texts = [term.content for term in terms if isinstance(term.content, str)]
        for text in texts:
            check_message(text)
        encoded = iter(self.encoder.encode_text(texts))
        total = np.zeros(self.encoder.dim, np.float32)
        for term in terms:
            vector = next(encoded) if isinstance(term.content, str) else term.content
            total += np.float32(term.weight) * vector
        if np.linalg.norm(total) < 1e-6:
            raise QueryError(
                "The parts of the query cancel each other out. Leave one out, or weigh it less."
            )
        return _unit(total)

    def embed_image(self, image: Path | bytes, stop: Stop | None = None) -> np.ndarray:
        """Return the unit mean embedding of the frames of an image or animation, (dim,).

        StoppedError soon after `stop` returns True.
        """
        try:
            frames = convert_media(image, lambda frame: frame, stop=stop).frames
        except MediaError as error:
            name = "The upload" if isinstance(image, bytes) else str(image)
            raise MediaError(f"{name} cannot be searched with: {error}.") from error
        return _unit(self.encoder.encode_images([frame.image for frame in frames]).mean(axis=0))

    def like(self, gif_id: str) -> np.ndarray:
        """Return the query vector for "more like this": the GIF's mean embedding, (dim,)."""
        return self.means([self._number(gif_id)])[0]

    def means(self, gifs: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return unit mean embeddings of the GIFs with these numbers, float32 (n, dim)."""
        gifs = np.asarray(gifs, np.int64)
        if self._has_means:
            return _unit(np.asarray(self.collection.index.vectors[gifs], np.float32))
        if not len(gifs):
            return np.zeros((0, self.encoder.dim), np.float32)
        rows, firsts = self._rows_of(gifs)
        vectors = np.asarray(self._frames.vectors[rows], np.float32)
        return _unit(np.add.reduceat(vectors, firsts, axis=0))

    def record(self, gif_id: str) -> Record:
        """Return the record of a GIF by its id, or by the first characters of it."""
        return self.collection.records[self._number(gif_id)]

    def _number(self, gif_id: str) -> int:
        number = self.collection.records.find(gif_id)
        if number is None:
            raise QueryError(f"No GIF {gif_id[:12]} in this library. It may have been rebuilt.")
        return number

    def search(
        self,
        query: np.ndarray,
        top_k: int = DEFAULT_TOP_K,
        *,
        fold: bool = False,
        keep: Filter | None = None,
    ) -> list[Result]:
        """Return the top_k GIFs for a unit query vector (dim,), best first.

        With `fold`, near-duplicates of a better result are listed under it instead of
        taking a place of their own. `keep` excludes what it does not allow.
        """
        if top_k < 1:
            raise QueryError(f"top_k is {top_k}; expected 1 or more.")
        keep = keep or Filter()
        allowed = keep.mask(self.collection.records)
        least = -np.inf if keep.min_score is None else keep.min_score
        scores, gifs = self._rank(query, top_k, allowed, least, fold)
        return [
            self._result(
                query,
                rank,
                gif,
                score,
                self._folded(query, gif, allowed, least) if fold else (),
            )
            for rank, (gif, score) in enumerate(zip(gifs.tolist(), scores.tolist(), strict=True), 1)
        ]

    def _rank(
        self, query: np.ndarray, top_k: int, allowed: np.ndarray | None, least: float, fold: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (scores, numbers) of the top_k GIFs; with `fold`, of one GIF per group."""
        n = top_k + (GIFS_PER_FOLDED * top_k if fold else 0)
        while True:
            scores, gifs = self._nearest(query, n, allowed)
            passing = int(np.count_nonzero(scores >= least))
            is_all = len(gifs) < n or passing < len(gifs)
            scores, gifs = scores[:passing], gifs[:passing]
            if fold:
                groups = self.collection.records.groups[gifs]
                firsts = np.sort(np.unique(groups, return_index=True)[1])
                scores, gifs = scores[firsts], gifs[firsts]
            if is_all or len(gifs) >= top_k:
                return scores[:top_k], gifs[:top_k]
            n *= 4

    def _nearest(
        self, query: np.ndarray, n: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (scores, numbers) of the n best GIFs; fewer only if fewer are allowed."""
        if self._has_means:
            return self.collection.index.search(query, n, allowed)
        gif_of_row = self._frames.gif_numbers
        n_frames = FRAMES_PER_GIF * n
        while True:
            scores, rows = self.collection.index.search(
                query, n_frames, None if allowed is None else allowed[gif_of_row]
            )
            # The first frame of each GIF is its best.
            firsts = np.sort(np.unique(gif_of_row[rows], return_index=True)[1])
            if len(firsts) >= n or len(rows) < n_frames:
                return scores[firsts[:n]], gif_of_row[rows[firsts[:n]]].astype(np.int64)
            n_frames *= 4

    def _folded(
        self, query: np.ndarray, gif: int, allowed: np.ndarray | None, least: float
    ) -> tuple[Record, ...]:
        """Return the near-duplicates that a result stands for, best first."""
        records = self.collection.records
        members = records.group_members(int(records.groups[gif]))
        if len(members) == 1:
            return ()
        members = members[members != gif]
        if allowed is not None:
            members = members[allowed[members]]
        scores = self._scores_of(query, members)
        order = np.lexsort((members, -scores))
        return tuple(records[i] for i in members[order[scores[order] >= least]].tolist())

    def _scores_of(self, query: np.ndarray, gifs: np.ndarray) -> np.ndarray:
        """Return the exact score of each of the GIFs, float32 (n,)."""
        index = self.collection.index
        if self._has_means or not len(gifs):
            return index.scores(query, gifs)
        rows, firsts = self._rows_of(gifs)
        return np.maximum.reduceat(index.scores(query, rows), firsts)

    def _rows_of(self, gifs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the GIFs' frames, one GIF after the other, and where each GIF starts there."""
        lengths = self._ends[gifs] - self._starts[gifs]
        firsts = np.cumsum(lengths) - lengths
        return np.arange(lengths.sum()) + np.repeat(self._starts[gifs] - firsts, lengths), firsts

    def _result(
        self, query: np.ndarray, rank: int, gif: int, score: float, folded: tuple[Record, ...]
    ) -> Result:
        record = self.collection.records[gif]
        rows = slice(self._starts[gif], self._ends[gif])
        scores = np.asarray(self._frames.vectors[rows], np.float32) @ query
        columns = self._frames.frame_indices[rows], self._frames.times_ms[rows], scores
        frames = tuple(map(FrameScore, *(column.tolist() for column in columns)))
        return Result(rank, score, record, self.collection.media_path(record), frames, folded)

    def scores(self, queries: np.ndarray, pooling: str) -> np.ndarray:
        """Return the exact score of every GIF for every query, (n_queries, n_gifs)."""
        vectors = np.asarray(self._frames.vectors, np.float32)
        if pooling == "mean":
            return queries @ np.concatenate(list(gif_means(vectors, self._starts))).T
        return np.maximum.reduceat(queries @ vectors.T, self._starts, axis=1)


def encoder_of(bundle: Bundle, checkpoint: str = "") -> Encoder:
    """Load the encoder named by the bundle's manifest, or by `checkpoint`, a label such as
    "mini", "ViT-B-32/laion2b_s34b_b79k" or "hf-hub:me/clip"."""
    return load_encoder(checkpoint or bundle.manifest.encoder_checkpoint)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

"""Embed what is asked, search by vector, group frames by GIF, name the best frame.

Ranking sees the frames alone: titles and tags are shown, never matched. A GIF's
score is the cosine between the query and its frames, pooled as the bundle's
manifest says: the best frame's, or that of the mean of all its frames.
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
from retrieval.library import Bundle, FrameEmbeddings, Record, VectorIndex
from retrieval.media import Stop, convert_media
from retrieval.search.query import NEGATIVE_WEIGHT, Filter, Term, check_message

DEFAULT_TOP_K = 8

# Frames fetched from the index to begin with; more follow until top_k GIFs are found.
MIN_CANDIDATES = 1_000
CANDIDATES_PER_RESULT = 40


@dataclass(frozen=True)
class FrameScore:
    """One embedded frame of a GIF and its cosine to the query."""

    index: int
    time_ms: int
    score: float


@dataclass(frozen=True)
class Result:
    """One GIF that answers, and why: its frames, and the best of them."""

    rank: int  # from 1
    score: float  # cosine, higher is better
    record: Record
    uri: str  # a path that can be opened, or an address
    frames: tuple[FrameScore, ...]  # in order of time
    folded: tuple[Record, ...] = ()  # near-duplicates that this one stands for

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
    """GIFs that can be searched: a bundle, or what a person has uploaded."""

    @property
    def name(self) -> str: ...

    @property
    def records(self) -> Sequence[Record]: ...

    @property
    def embeddings(self) -> FrameEmbeddings: ...

    @property
    def index(self) -> VectorIndex: ...

    @property
    def pooling(self) -> str: ...

    def media_path(self, record: Record) -> str: ...

    def check_encoder(self, encoder: Encoder) -> None: ...


class Searcher:
    """A collection and the encoder that fits it."""

    def __init__(self, collection: Collection, encoder: Encoder):
        """BundleError if the collection was embedded with another checkpoint."""
        collection.check_encoder(encoder)
        self.collection = collection
        self.encoder = encoder
        self._vectors = collection.embeddings.vectors
        self._starts = collection.embeddings.starts()
        self._ends = np.append(self._starts[1:], len(self._vectors))
        self._gif_of_row = np.repeat(np.arange(len(self._starts)), self._ends - self._starts)
        # Of an exact collection all means are held; of a larger one, those asked for are read.
        self._all_means = None
        if collection.index.exact:
            self._all_means = _unit(np.add.reduceat(self._vectors, self._starts, axis=0))

    @classmethod
    def open(
        cls,
        where: Path | str,
        encoder: Encoder | None = None,
        progress: Progress | None = None,
        checkpoint: str = "",
    ) -> Searcher:
        """The bundle in a folder or at an hf:// address, with its encoder (`encoder_of`)."""
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
        """The GIFs that answer a message, a picture or both, best first.

        `negative` is what they should not be about. QueryError if there is nothing
        to ask, or the message is too long; MediaError if the image is none.
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
        """`ask` for many messages at once, in order, encoded in batches."""
        for message in messages:
            check_message(message)
        return [self.search(vector, top_k) for vector in self.encoder.encode_text(messages)]

    def embed(self, terms: Sequence[Term]) -> np.ndarray:
        """The weighted sum of the terms' unit embeddings, unit again, float32 (dim,)."""
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
        """The unit mean embedding of a picture's or an animation's frames, (dim,).

        StoppedError soon after `stop` returns True.
        """
        try:
            frames = convert_media(image, lambda frame: frame, stop=stop).frames
        except MediaError as error:
            name = "The upload" if isinstance(image, bytes) else str(image)
            raise MediaError(f"{name} cannot be searched with: {error}.") from error
        return _unit(self.encoder.encode_images([frame.image for frame in frames]).mean(axis=0))

    def like(self, gif_id: str) -> np.ndarray:
        """The query vector for "more like this": the GIF's mean embedding, (dim,)."""
        return self.means([self._number(gif_id)])[0]

    def means(self, gifs: Sequence[int] | np.ndarray) -> np.ndarray:
        """Unit mean embeddings of the GIFs with these numbers, float32 (n, dim)."""
        gifs = np.asarray(gifs, np.int64)
        if self._all_means is not None:
            return self._all_means[gifs]
        if not len(gifs):
            return np.zeros((0, self._vectors.shape[1]), np.float32)
        lengths = self._ends[gifs] - self._starts[gifs]
        firsts = np.cumsum(lengths) - lengths
        rows = np.arange(lengths.sum()) + np.repeat(self._starts[gifs] - firsts, lengths)
        return _unit(np.add.reduceat(self._vectors[rows].astype(np.float32), firsts, axis=0))

    def record(self, gif_id: str) -> Record:
        """The record of a GIF by its id, or by the first characters of it."""
        return self.collection.records[self._number(gif_id)]

    def _number(self, gif_id: str) -> int:
        for number, record in enumerate(self.collection.records):
            if gif_id and record.id.startswith(gif_id):
                return number
        raise QueryError(f"No GIF {gif_id[:12]} in this library. It may have been rebuilt.")

    def search(
        self,
        query: np.ndarray,
        top_k: int = DEFAULT_TOP_K,
        *,
        fold: bool = False,
        keep: Filter | None = None,
    ) -> list[Result]:
        """The top_k GIFs for a unit query vector (dim,), best first.

        With `fold`, near-duplicates of a better result are listed under it instead of
        taking a place of their own. `keep` leaves out what it does not allow.
        """
        if top_k < 1:
            raise QueryError(f"top_k is {top_k}; expected 1 or more.")
        gifs = self._candidates(query, top_k, keep)
        scores = self._score(query, gifs)
        # Equal scores in catalogue order, so that the same query always answers the same.
        order = np.lexsort((gifs, -scores))
        least = -np.inf if keep is None or keep.min_score is None else keep.min_score
        passing = order[scores[order] >= least]
        groups = self._groups(gifs[passing]) if fold else [[i] for i in range(len(passing))]
        records = self.collection.records
        results = []
        for rank, members in enumerate(groups[:top_k], 1):
            leader = passing[members[0]]
            record = records[gifs[leader]]
            results.append(
                Result(
                    rank=rank,
                    score=float(scores[leader]),
                    record=record,
                    uri=self.collection.media_path(record),
                    frames=self._frame_scores(query, gifs[leader]),
                    folded=tuple(records[gifs[passing[m]]] for m in members[1:]),
                )
            )
        return results

    def scores(self, queries: np.ndarray, pooling: str) -> np.ndarray:
        """Exact score of every GIF for every query, (n_queries, n_gifs), for evaluation."""
        if pooling == "mean":
            return queries @ self.means(np.arange(len(self._starts))).T
        return np.maximum.reduceat(queries @ self._vectors.T, self._starts, axis=1)

    def _candidates(self, query: np.ndarray, top_k: int, keep: Filter | None) -> np.ndarray:
        """GIF numbers worth scoring, ascending: those with the nearest frames."""
        allowed: np.ndarray = np.ones(len(self._starts), bool)
        if keep:
            allowed = np.array([keep.allows(record) for record in self.collection.records])
        wanted = min(top_k * 4, int(allowed.sum()))
        n = max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * top_k)
        while True:
            _, rows = self.collection.index.search(query[None], n)
            gifs = np.unique(self._gif_of_row[rows[0]])
            gifs = gifs[allowed[gifs]]
            if len(gifs) >= wanted or n >= len(self._vectors):
                return gifs
            n *= 4

    def _score(self, query: np.ndarray, gifs: np.ndarray) -> np.ndarray:
        """Score of each GIF, from the exact embeddings, float32 (len(gifs),)."""
        if self.collection.pooling == "mean":
            return self.means(gifs) @ query
        best = [
            (self._vectors[self._starts[g] : self._ends[g]].astype(np.float32) @ query).max()
            for g in gifs
        ]
        return np.array(best, np.float32)

    def _frame_scores(self, query: np.ndarray, gif: int) -> tuple[FrameScore, ...]:
        rows = range(self._starts[gif], self._ends[gif])
        embeddings = self.collection.embeddings
        scores = self._vectors[rows.start : rows.stop].astype(np.float32) @ query
        return tuple(
            FrameScore(
                int(embeddings.frame_indices[row]), int(embeddings.times_ms[row]), float(score)
            )
            for row, score in zip(rows, scores, strict=True)
        )

    def near_duplicate_groups(self) -> list[list[int]]:
        """All GIF numbers, by group of look-alikes (library.duplicates), in catalogue order."""
        return self._groups(np.arange(len(self.collection.records)))

    def _groups(self, gifs: np.ndarray) -> list[list[int]]:
        """Positions in `gifs` (best first) by group; a group's first stands for it."""
        groups: dict[int, list[int]] = {}
        for position, gif in enumerate(gifs.tolist()):
            leader = self.collection.records[gif].group
            groups.setdefault(gif if leader < 0 else leader, []).append(position)
        return list(groups.values())


def encoder_of(bundle: Bundle, checkpoint: str = "") -> Encoder:
    """The encoder that a bundle's manifest names, or that `checkpoint` does, as a label has it:
    "mini", "ViT-B-32/laion2b_s34b_b79k", "hf-hub:me/clip"."""
    return load_encoder(checkpoint or bundle.manifest.encoder_checkpoint)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

"""Embed what is asked, search by vector, group frames by GIF, name the best frame.

Ranking sees the frames alone: titles and tags are shown, never matched. A GIF's
score is the cosine between the query and its frames, pooled as the bundle's
manifest says: the best frame's, or that of the mean of all its frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.bundle import Bundle, offsets_of
from retrieval.catalog import Record
from retrieval.encoder import Encoder, OpenClipEncoder
from retrieval.errors import MediaError, QueryError
from retrieval.frames import read_media

MAX_MESSAGE_CHARS = 2_000  # any checkpoint cuts a message far earlier, at 64 to 77 tokens
DEFAULT_TOP_K = 8
NEGATIVE_WEIGHT = -0.5

# Frames fetched from the index to begin with; more follow until top_k GIFs are found.
MIN_CANDIDATES = 1_000
CANDIDATES_PER_RESULT = 40

# GIFs whose mean embeddings are at least this close count as the same animation.
SAME_ANIMATION = 0.98


@dataclass(frozen=True)
class Term:
    """One part of a query: a message or a picture's embedding, and how much it counts."""

    content: str | np.ndarray  # a picture comes as a unit embedding (dim,)
    weight: float = 1.0


@dataclass(frozen=True)
class Result:
    """One GIF that answers, and why: its best frame."""

    rank: int  # from 1
    score: float  # cosine, higher is better
    record: Record
    uri: str  # a path that can be opened, or an address
    best_frame: int  # its index in the animation
    best_frame_ms: int
    folded: tuple[Record, ...] = ()  # near-duplicates that this one stands for


class Searcher:
    """A bundle and the encoder that fits it."""

    def __init__(self, bundle: Bundle, encoder: Encoder):
        """BundleError if the bundle was built with another checkpoint."""
        bundle.check_encoder(encoder)
        self.bundle = bundle
        self.encoder = encoder
        self._vectors = bundle.embeddings.vectors
        self._starts = offsets_of(bundle.embeddings)
        self._ends = np.append(self._starts[1:], len(self._vectors))
        self._gif_of_row = np.repeat(np.arange(len(self._starts)), self._ends - self._starts)
        self._means = _unit(np.add.reduceat(self._vectors, self._starts, axis=0))

    @classmethod
    def open(cls, path: Path | str, encoder: Encoder | None = None) -> Searcher:
        """The bundle in a folder, with the encoder that its manifest names."""
        bundle = Bundle.open(path)
        if encoder is None:
            encoder = OpenClipEncoder(bundle.manifest.checkpoint, bundle.manifest.pretrained)
        return cls(bundle, encoder)

    def ask(
        self,
        message: str | None = None,
        *,
        image: Path | bytes | None = None,
        negative: str | None = None,
        top_k: int = DEFAULT_TOP_K,
        fold: bool = False,
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
        return self.search(self.embed(terms), top_k, fold=fold)

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

    def embed_image(self, image: Path | bytes) -> np.ndarray:
        """The unit mean embedding of a picture's or an animation's frames, (dim,)."""
        try:
            frames = read_media(image).frames
        except MediaError as error:
            name = "The upload" if isinstance(image, bytes) else str(image)
            raise MediaError(f"{name} cannot be searched with: {error}.") from error
        return _unit(self.encoder.encode_images([frame.image for frame in frames]).mean(axis=0))

    def search(
        self, query: np.ndarray, top_k: int = DEFAULT_TOP_K, *, fold: bool = False
    ) -> list[Result]:
        """The top_k GIFs for a unit query vector (dim,), best first.

        With `fold`, near-duplicates of a better result are listed under it instead of
        taking a place of their own.
        """
        if top_k < 1:
            raise QueryError(f"top_k is {top_k}; expected 1 or more.")
        gifs = self._candidates(query, top_k)
        scores, best_rows = self._score(query, gifs)
        # Equal scores in catalogue order, so that the same query always answers the same.
        order = np.lexsort((gifs, -scores))
        groups = self._groups(gifs[order], fold)
        embeddings, records = self.bundle.embeddings, self.bundle.records
        results = []
        for rank, members in enumerate(groups[:top_k], 1):
            leader = order[members[0]]
            record = records[gifs[leader]]
            results.append(
                Result(
                    rank=rank,
                    score=float(scores[leader]),
                    record=record,
                    uri=self.bundle.media_path(record),
                    best_frame=int(embeddings.frame_indices[best_rows[leader]]),
                    best_frame_ms=int(embeddings.times_ms[best_rows[leader]]),
                    folded=tuple(records[gifs[order[m]]] for m in members[1:]),
                )
            )
        return results

    def scores(self, queries: np.ndarray, pooling: str) -> np.ndarray:
        """Exact score of every GIF for every query, (n_queries, n_gifs), for evaluation."""
        if pooling == "mean":
            return queries @ self._means.T
        return np.maximum.reduceat(queries @ self._vectors.T, self._starts, axis=1)

    def _candidates(self, query: np.ndarray, top_k: int) -> np.ndarray:
        """GIF numbers worth scoring, ascending: those with the nearest frames."""
        wanted = min(top_k * 4, len(self._starts))
        n = max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * top_k)
        while True:
            _, rows = self.bundle.index.search(query[None], n)
            gifs = np.unique(self._gif_of_row[rows[0]])
            if len(gifs) >= wanted or n >= len(self._vectors):
                return gifs
            n *= 4

    def _score(self, query: np.ndarray, gifs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(score, row of the best frame) of each GIF, from the exact embeddings."""
        best_rows = np.empty(len(gifs), np.int64)
        best_scores = np.empty(len(gifs), np.float32)
        for i, gif in enumerate(gifs):
            frame_scores = self._vectors[self._starts[gif] : self._ends[gif]] @ query
            best = int(frame_scores.argmax())
            best_rows[i] = self._starts[gif] + best
            best_scores[i] = frame_scores[best]
        if self.bundle.manifest.pooling == "mean":
            return self._means[gifs] @ query, best_rows
        return best_scores, best_rows

    def _groups(self, gifs: np.ndarray, fold: bool) -> list[list[int]]:
        """Positions in `gifs` (best first) by group; a group's first stands for it."""
        if not fold:
            return [[i] for i in range(len(gifs))]
        groups: list[list[int]] = []
        for i, gif in enumerate(gifs):
            for group in groups:
                if float(self._means[gifs[group[0]]] @ self._means[gif]) >= SAME_ANIMATION:
                    group.append(i)
                    break
            else:
                groups.append([i])
        return groups


def check_message(message: str) -> None:
    """QueryError unless the message has something in it and is of a sane length."""
    if not message.strip():
        raise QueryError('The message is empty. Type one, such as "I got the job 🎉".')
    if len(message) > MAX_MESSAGE_CHARS:
        raise QueryError(
            f"The message has {len(message):,} characters; at most {MAX_MESSAGE_CHARS:,} are "
            f"searched for. Shorten it to the sentence that matters."
        )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

"""Understand the query, rank GIFs, fold near-duplicates, and score the frames of results.

A message is ranked by all signals of the bundle (retrieval.search.fusion). A picture, "more like
this", uploads, and bundles without signals are ranked by frames alone: by the cosine of the mean
of a GIF's frames (one row of the index per GIF), or of its best frame (one row per frame).
"""

from __future__ import annotations

from collections.abc import Collection as Group
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from retrieval.decoding import decode_frames
from retrieval.encoders import Encoder, SentenceEncoder, load_encoder, sentence_encoder
from retrieval.errors import MediaError, QueryError
from retrieval.hub import Progress
from retrieval.library import SIGNALS, Bundle, Record, gif_means
from retrieval.media import Stop, read_bytes
from retrieval.sandbox import Sandbox
from retrieval.search.browsing import browsing_order, narrowed
from retrieval.search.collection import Collection
from retrieval.search.fusion import Fusion
from retrieval.search.operators import apply_operators, containing
from retrieval.search.query import NEGATIVE_WEIGHT, Filter, Message, Query, Term, check_message
from retrieval.search.ranker import Ranker, unit
from retrieval.search.results import FrameScore, Result
from retrieval.signals import Reactions, signals_of

DEFAULT_TOP_K = 8


class Searcher:
    """A collection and its encoder."""

    def __init__(self, collection: Collection, encoder: Encoder):
        """BundleError if the collection was embedded with another checkpoint."""
        collection.check_encoder(encoder)
        self.collection = collection
        self.encoder = encoder
        self._frames = collection.embeddings
        self._ranker = Ranker(
            collection.records, self._frames, collection.index, collection.pooling
        )
        self._gif_signals = signals_of(collection)
        self.signals = self._gif_signals.signals if self._gif_signals else ("frames",)

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
        signals: Group[str] | None = None,
        fusion: str | None = None,
    ) -> list[Result]:
        """Return the top_k GIFs for a message, an image or both, best first.

        `"quoted text"` in the message must stand in a GIF's words or name, `-word` must not.
        `negative` is a text to be far from; `signals` and `fusion` as in `search`. QueryError if
        there is neither message nor image, or the message is empty or too long; MediaError if
        the image cannot be read.
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
        query = self.understand(terms)
        return self.search(query, top_k, fold=fold, keep=keep, signals=signals, fusion=fusion)

    def ask_all(
        self,
        messages: Sequence[str],
        top_k: int = DEFAULT_TOP_K,
        *,
        signals: Group[str] | None = None,
        fusion: str | None = None,
    ) -> list[list[Result]]:
        """Return the results of `ask` for each message, in order."""
        for message in messages:
            check_message(message)
        queries = (self.understand([Term(message)]) for message in messages)
        return [self.search(query, top_k, signals=signals, fusion=fusion) for query in queries]

    def understand(self, terms: Sequence[Term]) -> Query:
        """Return what the terms of a query ask for, in the space of every signal."""
        parsed, said, messages = list[Term](), list[Term](), list[Message]()
        for term in terms:
            if isinstance(term.content, str):
                message = Message.parse(term.content)
                if term.weight > 0:
                    messages.append(message)
                term = Term(message.text, term.weight)
                said.append(term)
            parsed.append(term)
        vector = self.embed(parsed)
        if not messages:
            return Query(vector)
        whole = Message(
            " ".join(message.text for message in messages),
            tuple(phrase for message in messages for phrase in message.required),
            tuple(word for message in messages for word in message.excluded),
        )
        if not self._gif_signals:
            return Query(vector, whole)
        rows = self._sentences.encode_sentences([str(term.content) for term in said])
        weights = np.array([term.weight for term in said], np.float32)
        sentence = weights @ rows
        sentence /= max(float(np.linalg.norm(sentence)), 1e-6)
        model = Reactions.load()
        positive = np.maximum(weights, 0)
        reactions = positive @ model.called_for(rows) / positive.sum()
        return Query(vector, whole, model.answers(sentence), reactions)

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        return sentence_encoder(self.encoder)

    @cached_property
    def _fusion(self) -> Fusion | None:
        if self._gif_signals is None:
            return None
        return Fusion(self.collection.records, self._ranker, self._gif_signals)

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
        norm = np.linalg.norm(total)
        if norm < 1e-6:
            raise QueryError(
                "The parts of the query cancel each other out. Leave one out, or weigh it less."
            )
        return np.asarray(total / norm, np.float32)

    def embed_image(
        self, image: Path | bytes, stop: Stop | None = None, sandbox: Sandbox | None = None
    ) -> np.ndarray:
        """Return the unit mean embedding of the frames of an image or animation, (dim,).

        Decoded in `sandbox` (see `decode_frames`). StoppedError soon after `stop` returns True.
        """
        try:
            data, prepare = read_bytes(image), self.encoder.prepare
            frames = decode_frames(data, prepare, stop=stop, sandbox=sandbox).frames
        except MediaError as error:
            name = "The upload" if isinstance(image, bytes) else str(image)
            raise MediaError(f"{name} cannot be searched with: {error}.") from error
        return unit(self.encoder.encode_pixels([frame.pixels for frame in frames]).mean(axis=0))

    def like(self, gif_id: str) -> np.ndarray:
        """Return the query vector for "more like this": the GIF's mean embedding, (dim,)."""
        return self.means([self._number(gif_id)])[0]

    def means(self, gifs: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return unit mean embeddings of the GIFs with these numbers, float32 (n, dim)."""
        return self._ranker.means(gifs)

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
        query: Query | np.ndarray,
        top_k: int = DEFAULT_TOP_K,
        *,
        fold: bool = False,
        keep: Filter | None = None,
        signals: Group[str] | None = None,
        fusion: str | None = None,
        offset: int = 0,
    ) -> list[Result]:
        """Return the top_k GIFs for a query, or for a unit vector (dim,), best first.

        `offset` is the number of results to leave out before them: pages joined are one long
        answer. With `fold`, near-duplicates of a better result are listed under it instead of
        taking a place of their own. `keep` excludes what it does not allow. `signals` are those
        to rank by (default: all), `fusion` one of retrieval.search.FUSIONS.
        """
        if top_k < 1:
            raise QueryError(f"top_k is {top_k}; expected 1 or more.")
        if offset < 0:
            raise QueryError(f"offset is {offset}; expected 0 or more.")
        if isinstance(query, np.ndarray):
            query = Query(query)
        unknown = sorted(set(signals or ()) - set(SIGNALS))
        if unknown or (signals is not None and not signals):
            raise QueryError(f"Signals {unknown or 'none'}; expected some of {', '.join(SIGNALS)}.")
        keep = keep or Filter()
        records = self.collection.records
        allowed = apply_operators(query.message, keep.mask(records), records, self._gif_signals)
        least = -np.inf if keep.min_score is None else keep.min_score
        chosen = self.signals if signals is None else signals
        if self._fusion and query.answers is not None and set(chosen) != {"frames"}:
            return self._fused(query, top_k, allowed, least, fold, chosen, fusion, offset)
        scores, gifs = self._ranker.rank(query.vector, offset + top_k, allowed, least, fold)
        ranked = zip(gifs[offset:].tolist(), scores[offset:].tolist(), strict=True)
        return [
            self._result(
                query.vector,
                rank,
                gif,
                score,
                self._ranker.folded(query.vector, gif, allowed, least) if fold else (),
            )
            for rank, (gif, score) in enumerate(ranked, offset + 1)
        ]

    def browse(
        self,
        top_k: int,
        *,
        reaction: str = "",
        seed: int | None = None,
        fold: bool = False,
        keep: Filter | None = None,
        offset: int = 0,
    ) -> list[Result]:
        """Return GIFs without a question: as catalogued, or those that express a reaction most
        first, or by chance (`seed`) with reactions taking turns. Pages as in `search`.

        A score is the reaction's part in what the GIF expresses, else 0; frames are compared with
        the GIF's own mean. QueryError if reactions are not known of this collection.
        """
        records = self.collection.records
        order, scores = browsing_order(len(records), self._gif_signals, reaction, seed)
        allowed = keep.mask(records) if keep else None
        page = narrowed(order, allowed, records, fold)[offset : offset + top_k]
        results = []
        for rank, (gif, mean) in enumerate(zip(page.tolist(), self.means(page), strict=True)):
            folded = self._ranker.folded(mean, gif, allowed, -np.inf) if fold else ()
            results.append(self._result(mean, offset + rank + 1, gif, float(scores[gif]), folded))
        return results

    def single(self, gif_id: str) -> Result:
        """Return one GIF, by its id or the first characters of it, as `browse` returns it."""
        number = self._number(gif_id)
        return self._result(self.means([number])[0], 1, number, 0.0, ())

    def signals_for(self, query: Query) -> tuple[str, ...]:
        """Return the signals by which `search` ranks for a query."""
        return ("frames",) if query.answers is None else tuple(self.signals)

    @property
    def expressed(self) -> np.ndarray | None:
        """Which reactions each GIF expresses, (n, 43); None if that is not known."""
        return self._gif_signals.kinds if self._gif_signals else None

    def _fused(
        self,
        query: Query,
        top_k: int,
        allowed: np.ndarray | None,
        least: float,
        fold: bool,
        signals: Group[str],
        fusion: str | None,
        offset: int,
    ) -> list[Result]:
        assert self._fusion and self._gif_signals and query.reactions is not None
        ranking = self._fusion.rank(
            query, offset + top_k, allowed, least, fold, signals, fusion or "sum"
        )
        categories = Reactions.load().categories
        results = []
        for at in range(offset, len(ranking.gifs)):
            gif, score = int(ranking.gifs[at]), float(ranking.scores[at])
            folded = self._ranker.folded(query.vector, gif, allowed, -np.inf) if fold else ()
            result = self._result(query.vector, at + 1, gif, score, folded)
            shared = query.reactions * self._gif_signals.kinds[gif]
            best = np.argsort(-shared)[:2].tolist()
            parts = {name: float(part[at]) for name, part in ranking.by_signal.items()}
            words = None
            if ranking.texts[at] >= 0 and self._gif_signals.words:
                first = int(np.searchsorted(self._gif_signals.words.gifs, gif))
                words = result.record.texts[int(ranking.texts[at]) - first]
            results.append(
                replace(
                    result,
                    signals={name: part for name, part in parts.items() if not np.isnan(part)},
                    words=words,
                    reactions={categories[i]: float(query.reactions[i]) for i in best},
                )
            )
        return results

    def missing_phrases(self, query: Query) -> list[str]:
        """Return the phrases required by the message that stand nowhere in the library."""
        required = query.message.required if query.message else ()
        records, signals = self.collection.records, self._gif_signals
        return [phrase for phrase in required if not len(containing(phrase, records, signals))]

    def _result(
        self, query: np.ndarray, rank: int, gif: int, score: float, folded: tuple[Record, ...]
    ) -> Result:
        record = self.collection.records[gif]
        rows = slice(self._ranker.starts[gif], self._ranker.ends[gif])
        scores = np.asarray(self._frames.vectors[rows], np.float32) @ query
        columns = self._frames.frame_indices[rows], self._frames.times_ms[rows], scores
        frames = tuple(map(FrameScore, *(column.tolist() for column in columns)))
        return Result(rank, score, record, self.collection.media_path(record), frames, folded)

    def scores(self, queries: np.ndarray, pooling: str) -> np.ndarray:
        """Return the exact score of every GIF for every query, (n_queries, n_gifs)."""
        vectors = np.asarray(self._frames.vectors, np.float32)
        if pooling == "mean":
            return queries @ np.concatenate(list(gif_means(vectors, self._ranker.starts))).T
        return np.maximum.reduceat(queries @ vectors.T, self._ranker.starts, axis=1)


def encoder_of(bundle: Bundle, checkpoint: str = "") -> Encoder:
    """Load the encoder of the bundle's manifest, or of `checkpoint`, a label such as "mini"."""
    return load_encoder(checkpoint or bundle.manifest.encoder_checkpoint)

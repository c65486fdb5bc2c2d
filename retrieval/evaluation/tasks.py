"""How well a checkpoint finds reactions, beside chance and a text-only baseline.

Three questions, each with the frames alone:

- *messages*: does a chat message that was never trained on bring a reaction of its
  category (data/reactions.json) to the top of a bundle?
- *animations*: does an emoji's name find its own animation among all that move?
- *style*: does it find its own still, drawn in a style never trained on?

The text-only baseline never looks at a picture: the untrained text tower (cosine of
its pooled output) compares the query with each GIF's title and tags, or, where the
query is the title itself, with its tags alone (less the names among them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from retrieval.encoders import Encoder
from retrieval.errors import SourceError
from retrieval.evaluation import art, metrics
from retrieval.evaluation.data import Message, load_reactions
from retrieval.library import POOLINGS, Record
from retrieval.media import on_white, read_media
from retrieval.search import Searcher

Progress = Callable[[int, int], None]
TextEmbedder = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Row:
    """One line of the results table; figures are shares from 0 to 1."""

    question: str
    method: str
    n_queries: int
    n_corpus: int
    hit_at_1: float
    hit_at_5: float
    mrr: float


def _row(question: str, method: str, scores: np.ndarray, relevant: np.ndarray) -> Row:
    ranks = metrics.ranks_of(scores, relevant)
    return Row(
        question,
        method,
        n_queries=len(scores),
        n_corpus=scores.shape[1],
        hit_at_1=metrics.hit_rate_at_k(ranks, 1),
        hit_at_5=metrics.hit_rate_at_k(ranks, 5),
        mrr=metrics.mrr(ranks),
    )


def _chance(question: str, relevant: np.ndarray) -> Row:
    counts, n = relevant.sum(axis=1).tolist(), relevant.shape[1]
    at_1, at_5 = (metrics.chance_hit_rate_at_k(counts, n, k) for k in (1, 5))
    # No closed form is worth its lines for MRR: the mean over fixed random orders.
    scores = np.random.default_rng(0).random((200, *relevant.shape))
    mean = float(np.mean([metrics.mrr(metrics.ranks_of(s, relevant)) for s in scores]))
    return Row(question, "chance", len(counts), n, at_1, at_5, mean)


def relevant_to(messages: Sequence[Message], records: Sequence[Record]) -> np.ndarray:
    """Whether a record's emoji expresses a message's category, bool (messages, records).

    SourceError names a category that the records cannot express at all.
    """
    reactions = {
        category: {art.key_of_char(char) for char in chars}
        for category, chars in load_reactions().items()
    }
    keys = [art.key_of_char(record.emoji) for record in records]
    relevant = np.array([[key in reactions[m.category] for key in keys] for m in messages])
    for message, found in zip(messages, relevant, strict=True):
        if not found.any():
            raise SourceError(
                f"No GIF in the bundle expresses {message.category!r}: this evaluation is made "
                f"for index/starter. Run it with --index index/starter."
            )
    return relevant


def evaluate_messages(
    searcher: Searcher, messages: Sequence[Message], text_only: TextEmbedder
) -> list[Row]:
    """Rows for all signals, both poolings of frames, the text-only baseline and chance."""
    question = "message → reaction"
    records = searcher.collection.records
    relevant = relevant_to(messages, records)
    texts = [m.text for m in messages]
    queries = searcher.encoder.encode_text(texts)
    rows = [
        _row(question, f"frames, {pooling}", searcher.scores(queries, pooling), relevant)
        for pooling in POOLINGS
    ]
    if len(searcher.signals) > 1:
        rows.insert(0, _row(question, "all signals", _fused_scores(searcher, texts), relevant))
    described = [" ".join((record.title, *record.tags)) for record in records]
    rows.append(_row(question, "text only", text_only(texts) @ text_only(described).T, relevant))
    return [*rows, _chance(question, relevant)]


def _fused_scores(searcher: Searcher, messages: Sequence[str]) -> np.ndarray:
    """Minus the rank of each GIF for each message, (messages, GIFs)."""
    number = {record.id: i for i, record in enumerate(searcher.collection.records)}
    scores = np.full((len(messages), len(number)), -np.inf)
    for row, results in zip(scores, searcher.ask_all(messages, len(number)), strict=True):
        for result in results:
            row[number[result.record.id]] = -result.rank
    return scores


def evaluate_animations(
    encoder: Encoder, cache: Path, text_only: TextEmbedder, progress: Progress | None = None
) -> list[Row]:
    """An emoji's name → its own animation, among all animations that move."""
    files = art.animations(cache)
    emoji = [e for e in art.load_emoji(cache) if e.key in files]
    moving, vectors = [], []
    for done, e in enumerate(emoji, 1):
        frames = read_media(files[e.key]).frames
        if len(frames) > 1:
            moving.append(e)
            vectors.append(encoder.encode_images([frame.image for frame in frames]).mean(axis=0))
        if progress:
            progress(done, len(emoji))
    return _by_name("name → animation", moving, np.stack(vectors), encoder, text_only)


def evaluate_style(encoder: Encoder, style: str, cache: Path, text_only: TextEmbedder) -> list[Row]:
    """An emoji's name → its own still in one of art.TEST_STYLES, among all of that style."""
    emoji = art.load_emoji(cache)
    stills = art.stills(style, emoji, cache, 128)
    emoji = [e for e in emoji if e.key in stills]
    pictures = [on_white(Image.fromarray(stills[e.key])) for e in emoji]
    return _by_name(
        f"name → still, {style}", emoji, encoder.encode_images(pictures), encoder, text_only
    )


def _by_name(
    question: str,
    emoji: Sequence[art.Emoji],
    vectors: np.ndarray,
    encoder: Encoder,
    text_only: TextEmbedder,
) -> list[Row]:
    own = np.eye(len(emoji), dtype=bool)
    names = [e.names[0] for e in emoji]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    # Some word lists repeat an emoji's name among its tags: that would be the answer itself.
    tags = [" ".join(t for t in e.tags if t not in e.names) or "no tags" for e in emoji]
    return [
        _row(question, "frames, mean", encoder.encode_text(names) @ vectors.T, own),
        _row(question, "text only", text_only(names) @ text_only(tags).T, own),
        _chance(question, own),
    ]


def nearest_similarity(
    messages: Sequence[str], others: Sequence[str], text_only: TextEmbedder
) -> np.ndarray:
    """Cosine of each message to the most similar of the others, float32 (messages,)."""
    similarities: np.ndarray = text_only(messages) @ text_only(others).T
    nearest: np.ndarray = similarities.max(axis=1)
    return nearest

"""Measure a message by all signals, encoding included, over a synthetic library of any size.

Frames are near-copies of the starter library's; names and words are pairs of the texts in
data/reaction_texts, whose embeddings are mixed from those of the two (embedding 200,000 texts
would take a quarter of an hour). The bundle is written and opened like any other.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.index import alone, resident_mb
from benchmarks.search import PAGE_FILTER, PAGE_TOP_K
from retrieval.encoders import Encoder, load_encoder, load_reaction_texts, sentence_encoder
from retrieval.evaluation import load_messages
from retrieval.library import (
    DEFAULT_POOLING,
    SIGNALS,
    BundleWriter,
    GifFrames,
    Manifest,
    Record,
)
from retrieval.media import PictureText
from retrieval.paths import STARTER
from retrieval.search import Filter, Searcher, Term
from retrieval.signals import name_of, write_signals

WITH_WORDS = 0.75  # share of GIFs with words in the picture, as in real collections


def measure_signals(n_gifs: int) -> None:
    """Print the times of `understand` and `search`, of all messages of the test set."""
    with tempfile.TemporaryDirectory() as name:
        bundle = Path(name) / "bundle"
        alone(_write, bundle, n_gifs)
        alone(_measure, bundle)


def _write(out: Path, n_gifs: int) -> None:
    encoder = load_encoder("mini")
    sentences = sentence_encoder(encoder)
    rng = np.random.default_rng(1)
    texts = [text.text for text in load_reaction_texts() if text.kind != "looks"]
    embedded = sentences.encode_sentences(texts)
    known: dict[str, np.ndarray] = {}

    def mixed() -> str:
        a, b = rng.integers(0, len(texts), 2)
        text = f"{texts[a]} {texts[b]}".lower()
        vector = embedded[a] + embedded[b] + 0.5 * rng.standard_normal(384) / 384**0.5
        known[text] = (vector / np.linalg.norm(vector)).astype(np.float16)
        return text

    records = []
    for i in range(n_gifs):
        said: tuple[PictureText, ...] = ()
        if rng.random() < WITH_WORDS:
            said = (PictureText(mixed(), 0, 0, 1.0, (0.0, 0.8, 1.0, 1.0)),)
        title = mixed()
        record = Record(f"{i:064x}", f"media/{i}.gif", title, group=i, texts=said)
        known[name_of(record)] = known[title]
        records.append(record)
    with BundleWriter(out, encoder.dim) as writer:
        writer.write_embeddings(_frames(n_gifs, encoder))
        writer.write_index()
        writer.write_catalog(records)
        facts = write_signals(
            writer.folder, records, writer.means(), encoder, sentences, SIGNALS, known
        )
        fingerprint = encoder.fingerprint
        manifest = Manifest("mini", None, fingerprint, 1, DEFAULT_POOLING, signals=SIGNALS)
        writer.finish(Manifest(**{**vars(manifest), "signal_facts": facts}))


def _frames(n_gifs: int, encoder: Encoder) -> Iterator[GifFrames]:
    known = Searcher.open(STARTER, encoder)
    means = known.means(range(len(known.collection.records)))
    rng = np.random.default_rng(2)
    row = np.zeros(1, np.int32)
    for i in range(n_gifs):
        vector = means[i % len(means)] + 0.7 * rng.standard_normal(encoder.dim) / encoder.dim**0.5
        vector = np.float32(vector / np.linalg.norm(vector))
        yield GifFrames(f"{i:064x}", row, row, vector[None])


def _measure(bundle: Path) -> None:
    start = time.perf_counter()
    searcher = Searcher.open(bundle)
    messages = [message.text for message in load_messages("test")]
    opened_s = time.perf_counter() - start
    print(f"{len(searcher.collection.records):,} GIFs, opened in {opened_s:.1f} s")
    for name, keep in (("page", PAGE_FILTER), ("animated only", Filter(animated_only=True))):
        understand, search = [], []
        for message in messages[:20] + messages:  # the first twenty warm up
            begin = time.perf_counter()
            query = searcher.understand([Term(message)])
            understood = time.perf_counter()
            searcher.search(query, PAGE_TOP_K, fold=True, keep=keep)
            understand.append(1000 * (understood - begin))
            search.append(1000 * (time.perf_counter() - understood))
        total = np.array(understand[20:]) + np.array(search[20:])
        print(
            f"{name}: p50 {np.median(total):.1f} ms, p95 {np.percentile(total, 95):.1f} ms, of "
            f"which the message {np.median(understand[20:]):.1f} ms; "
            f"{resident_mb()['RssAnon']:,.0f} MB of memory"
        )

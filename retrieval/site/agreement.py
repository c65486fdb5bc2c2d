"""Compare the towers of a static site with the checkpoint that they were made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encoders import sentence_encoder
from retrieval.evaluation import load_messages
from retrieval.library import is_web_address
from retrieval.media import read_media
from retrieval.search import Searcher
from retrieval.site.onnx_encoder import OnnxEncoder

N_MESSAGES = 200
N_PICTURES = 50
TOP_K = 10


@dataclass(frozen=True)
class Agreement:
    """Cosines of a site's embeddings to the checkpoint's own, and what the search makes of them.

    None for what the site has no tower for.
    """

    n_messages: int
    message_cosine_mean: float
    message_cosine_min: float
    sentence_cosine_mean: float | None
    sentence_cosine_min: float | None
    overlap_at_10: float  # of the first 10 GIFs of the search, how many are the same
    n_pictures: int = 0
    image_cosine_mean: float | None = None
    image_cosine_min: float | None = None

    def __str__(self) -> str:
        """Sentences, one a line."""
        mean, least = self.message_cosine_mean, self.message_cosine_min
        lines = [
            f"Embeddings in the browser and those of the checkpoint, cosine of {self.n_messages} "
            f"messages: {mean:.5f} on average, {least:.5f} at least.",
            f"Of the first {TOP_K} results, {self.overlap_at_10:.1%} are the same.",
        ]
        for what, average, lowest in (
            ("their sentences", self.sentence_cosine_mean, self.sentence_cosine_min),
            (f"{self.n_pictures} pictures", self.image_cosine_mean, self.image_cosine_min),
        ):
            if average is not None and lowest is not None:
                lines.append(f"Cosine of {what}: {average:.5f} on average, {lowest:.5f} at least.")
        return "\n".join(lines)


def measure_agreement(
    searcher: Searcher, folder: Path, towers: dict[str, Any], n_messages: int = N_MESSAGES
) -> Agreement:
    """Compare the towers of a model folder with the encoder of a searcher.

    The messages are the first of the evaluation's test messages; the library is the searcher's.
    """
    exact, made = searcher.encoder, OnnxEncoder(folder, towers, searcher.encoder)
    texts = [message.text for message in load_messages("test")[:n_messages]]
    message = _cosines(exact.encode_text(texts), made.encode_text(texts))
    sentence = image = None
    if towers["message"]["outputs"]["sentence"] or towers["sentence"]:
        exactly = sentence_encoder(exact).encode_sentences(texts)
        sentence = _cosines(exactly, made.encode_sentences(texts))
    pixels = _pictures(searcher) if towers["image"] else []
    if len(pixels):
        image = _cosines(exact.encode_pixels(pixels), made.encode_pixels(pixels))
    mine = Searcher(searcher.collection, made)
    return Agreement(
        len(texts),
        float(message.mean()),
        float(message.min()),
        None if sentence is None else float(sentence.mean()),
        None if sentence is None else float(sentence.min()),
        _overlap(searcher, mine, texts),
        len(pixels),
        None if image is None else float(image.mean()),
        None if image is None else float(image.min()),
    )


def _cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.asarray((ours * theirs).sum(axis=1))


def _overlap(exact: Searcher, made: Searcher, texts: list[str]) -> float:
    """The mean share of the first TOP_K results that both give."""
    shares = []
    for before, after in zip(exact.ask_all(texts, TOP_K), made.ask_all(texts, TOP_K), strict=True):
        ids = {result.record.id for result in before}
        shares.append(len(ids & {result.record.id for result in after}) / max(1, len(ids)))
    return float(np.mean(shares))


def _pictures(searcher: Searcher) -> list[np.ndarray]:
    """A prepared frame of each of the library's first GIFs that lie on this machine."""
    bundle = searcher.collection
    places = (bundle.media_path(record) for record in bundle.records[:N_PICTURES])
    files = [Path(place) for place in places if place and not is_web_address(place)]
    return [searcher.encoder.prepare(read_media(file, 1).frames[0].image) for file in files]

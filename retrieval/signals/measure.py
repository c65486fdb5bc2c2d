"""Measure, without labels, how well frames and texts know each other in a library.

If a GIF's name (or its words) finds its own frames among all others', the checkpoint can see
what this library shows, and frames count; if it does no better than chance, they count little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from retrieval.encoders import Encoder

SHARE = 0.01  # a GIF is found if it is among this share of the library, at least the first
SAMPLE = 200  # texts that are measured
FEWEST = 20  # GIFs with a text, below which nothing is measured
UNMEASURED = 0.5  # assumed sight where nothing can be measured but there are texts
SEED = 7


@dataclass(frozen=True)
class Measured:
    """Shares of GIFs that were found by one signal from what another knows; -1: not measured."""

    frames_by_name: float = -1.0
    frames_by_words: float = -1.0
    names_by_words: float = -1.0
    chance: float = 0.0
    n_texts: int = 0  # GIFs with a name or with words

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}

    @property
    def sight(self) -> float:
        """How far the checkpoint sees what the library shows, 0 (chance) to 1."""
        found = max(self.frames_by_name, self.frames_by_words)
        if found < 0:
            return UNMEASURED if self.n_texts else 1.0
        share = (found - self.chance) / (1 - self.chance)
        return float(np.clip(1.25 * share, 0, 1))

    def sentence(self, checkpoint: str) -> str:
        """What was measured, for the report of a build; empty if nothing was."""
        found = max(self.frames_by_name, self.frames_by_words)
        if found < 0:
            return ""
        by = "name" if self.frames_by_name >= self.frames_by_words else "words"
        text = f"frames: {found:.0%} of GIFs found by their own {by} (chance {self.chance:.0%})"
        if self.sight < 0.1:
            text += f": {checkpoint} does not understand these pictures; use --model siglip2"
        return text


def measure(
    means: np.ndarray,
    encoder: Encoder,
    names: Sequence[tuple[int, str]],
    words: Sequence[tuple[int, str]],
    vectors: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Measured:
    """Measure with (GIF, text) pairs and their (GIFs, sentence embeddings)."""
    n = len(means)
    rank = max(1, int(SHARE * n))
    n_texts = len({gif for gif, _ in (*names, *words)})

    def by_frames(texts: Sequence[tuple[int, str]]) -> float:
        chosen = _sample(len(texts))
        if len({texts[i][0] for i in chosen}) < FEWEST:
            return -1.0
        queries = encoder.encode_text([texts[i][1] for i in chosen])
        return _found(queries, means, np.array([texts[i][0] for i in chosen]), rank)

    names_by_words = -1.0
    name_gifs, name_rows = vectors["names"]
    word_gifs, word_rows = vectors["words"]
    own = np.searchsorted(name_gifs, word_gifs)
    named = own < len(name_gifs)
    named[named] = name_gifs[own[named]] == word_gifs[named]
    chosen = np.flatnonzero(named)
    chosen = chosen[_sample(len(chosen))]
    if len(np.unique(word_gifs[chosen])) >= FEWEST:
        rows = np.asarray(word_rows[chosen], np.float32)
        names_by_words = _found(rows, name_rows, own[chosen], max(1, int(SHARE * len(name_gifs))))
    return Measured(by_frames(names), by_frames(words), names_by_words, rank / n, n_texts)


def source_weights(measured: Measured) -> dict[str, float]:
    """Return how much each source counts in which reaction a GIF expresses."""
    return {"frames": 0.1 + 0.9 * measured.sight, "names": 1.0, "words": 1.0}


def signal_weights(measured: Measured) -> dict[str, float]:
    """Return how much each signal's score, in standard deviations, counts."""
    sight = measured.sight
    return {
        "frames": 0.2 + 3.3 * sight,
        "names": 1.0,
        "words": 1.0,
        "reaction": 1.0 + 1.5 * sight,
    }


def _found(queries: np.ndarray, rows: np.ndarray, own: np.ndarray, rank: int) -> float:
    """Return the share of queries that have fewer than `rank` rows before their own."""
    before = np.zeros(len(queries), np.int64)
    scores = np.einsum("ij,ij->i", queries, np.asarray(rows[own], np.float32))
    for at in range(0, len(rows), 16_384):
        block = np.asarray(rows[at : at + 16_384], np.float32)
        before += (queries @ block.T > scores[:, None] + 1e-6).sum(axis=1)
    return float((before < rank).mean())


def _sample(n: int) -> np.ndarray:
    if n <= SAMPLE:
        return np.arange(n)
    return np.sort(np.random.default_rng(SEED).choice(n, SAMPLE, replace=False))

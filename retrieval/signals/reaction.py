"""Which of the 43 reactions of ReactionGIF a message calls for, and which a GIF expresses.

A message: a calibrated distribution by a linear head on its sentence embedding. A GIF: by the
exemplars nearest to its name and its words, and by prompts ("a person clapping their hands")
in the checkpoint's own space. Also the map from a message to the texts that answer it. All of
it was trained on data/messages and data/reaction_texts (retrieval.training.reactions).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from safetensors import safe_open

from retrieval.encoders import Encoder
from retrieval.errors import CheckpointError
from retrieval.hub import sha256_of
from retrieval.paths import PACKAGE, ROOT

FILE = PACKAGE / "checkpoints" / "mini" / "reactions.safetensors"
PROMPTS = ROOT / "data" / "reaction_texts"
NEAREST = 2  # exemplars of a category that a text is compared with
MIN_FOR_STATISTICS = 20  # pictures from which a library's own averages are used


@dataclass(frozen=True)
class ReactionModel:
    """The weights in mini/reactions.safetensors."""

    categories: tuple[str, ...]
    head: np.ndarray  # (43, 384)
    bias: np.ndarray  # (43,)
    answer: np.ndarray  # (384, 384): message → texts that answer it
    exemplars: np.ndarray  # (n, 384), unit
    exemplar_category: np.ndarray  # (n,)

    @classmethod
    @cache
    def load(cls, file: Path = FILE) -> ReactionModel:
        """Read the weights; CheckpointError if they are missing or damaged."""
        try:
            with safe_open(str(file), "np") as weights:
                known = json.loads(weights.metadata()["reactions"])
                get = weights.get_tensor
                answer = get("answer.message").astype(np.float32)
                return cls(
                    tuple(known["categories"]),
                    get("message_head.weight").astype(np.float32),
                    get("message_head.bias").astype(np.float32),
                    answer @ get("answer.text").astype(np.float32).T,
                    get("exemplars.vectors"),
                    get("exemplars.category").astype(np.int64),
                )
        except Exception as error:  # safetensors has an exception of its own for each damage
            raise CheckpointError(
                f"{file} cannot be read ({error}). Get it back: git checkout -- {file.name}, or "
                f"train it: reaction-search train --reactions"
            ) from error

    def called_for(self, sentences: np.ndarray) -> np.ndarray:
        """Return the probability of each reaction for messages (n, 384), (n, 43)."""
        return softmax(sentences @ self.head.T + self.bias)

    def answers(self, sentence: np.ndarray) -> np.ndarray:
        """Return the unit vector that texts answering a message are near to, (384,)."""
        vector = sentence @ self.answer
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    def kinds_of_texts(self, sentences: np.ndarray) -> np.ndarray:
        """Return how far texts (n, 384) express each reaction, in standard deviations, (n, 43)."""
        mean, deviation = self._reference
        return (self._nearest(sentences) - mean) / deviation

    def _nearest(self, sentences: np.ndarray) -> np.ndarray:
        """Return the mean cosine to the nearest exemplars of each category, (n, 43)."""
        order = np.argsort(self.exemplar_category, kind="stable")
        starts = np.searchsorted(self.exemplar_category[order], np.arange(len(self.categories)))
        exemplars = np.asarray(self.exemplars[order], np.float32)
        found = np.empty((len(sentences), len(self.categories)), np.float32)
        for at in range(0, len(sentences), 1024):
            similar = np.asarray(sentences[at : at + 1024], np.float32) @ exemplars.T
            for category, block in enumerate(np.split(similar, starts[1:], axis=1)):
                best = np.partition(block, -NEAREST, axis=1)[:, -NEAREST:]
                found[at : at + 1024, category] = best.mean(axis=1)
        return found

    @cached_property
    def _reference(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each category's cosines over a fixed sample of exemplars."""
        sample = self.exemplars[:: max(1, len(self.exemplars) // 600)]
        similar = self._nearest(sample + 0.0)
        own = self.exemplar_category[:: max(1, len(self.exemplars) // 600)]
        similar[np.arange(len(sample)), own] = np.nan  # an exemplar is its own nearest one
        return np.nanmean(similar, axis=0), np.nanstd(similar, axis=0)

    def kinds_of_pictures(self, means: np.ndarray, prompts: np.ndarray) -> np.ndarray:
        """Return the same for pictures: (n, dim) and `encode_prompts`, in the same space.

        In standard deviations over the library; in one too small for that, over categories.
        """
        found = np.empty((len(means), len(self.categories)), np.float32)
        for at in range(0, len(means), 4096):
            similar = (
                np.asarray(means[at : at + 4096], np.float32)
                @ prompts.reshape(-1, prompts.shape[-1]).T
            )
            best = similar.reshape(len(similar), len(self.categories), -1)
            found[at : at + 4096] = np.sort(best, axis=2)[:, :, -NEAREST:].mean(axis=2)
        axis = 0 if len(means) >= MIN_FOR_STATISTICS else 1
        centred = found - found.mean(axis=axis, keepdims=True)
        deviation = centred.std(axis=axis, keepdims=True)
        return np.asarray(centred / np.maximum(deviation, 1e-6), np.float32)

    def encode_prompts(self, encoder: Encoder) -> np.ndarray:
        """Return the embeddings of what each reaction looks like, (43, prompts, dim)."""
        looks = looks_of(self.categories)
        rows = encoder.encode_text([text for texts in looks for text in texts])
        return rows.reshape(len(looks), -1, rows.shape[1])


def looks_of(categories: Sequence[str], folder: Path = PROMPTS) -> list[list[str]]:
    """Return what each category looks like in words; as many texts for each."""
    prompts = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    looks = [prompts[category]["looks"] for category in categories]
    n = min(map(len, looks))
    return [texts[:n] for texts in looks]


def combine_kinds(kinds: Sequence[tuple[float, np.ndarray]]) -> np.ndarray:
    """Return which reactions GIFs express, by several sources of known weight, (n, 43).

    Each source is (n, 43) in standard deviations, with rows of nan where it knows nothing.
    Rows of the result sum to 1.
    """
    total = np.zeros_like(kinds[0][1])
    power = np.zeros((len(total), 1), np.float32)
    for weight, scores in kinds:
        total += weight * np.nan_to_num(scores)
        power += weight**2 * np.isfinite(scores[:, :1])
    return softmax(total / np.sqrt(np.maximum(power, 1e-6)))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def model_version() -> str:
    """Return what text embeddings and kinds depend on, besides the rules of this package."""
    return sha256_of(FILE)[:16]

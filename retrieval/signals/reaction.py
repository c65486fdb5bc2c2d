"""Which of the 43 reactions of ReactionGIF a message calls for, and which a GIF expresses.

A message: a calibrated distribution by a linear head on its sentence embedding. A GIF: by the
exemplars nearest to its name and its words, and by prompts ("a person clapping their hands")
in the checkpoint's own space. The weights are retrieval.encoders.reaction_model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np

from retrieval.encoders import Encoder, ReactionModel, load_reaction_texts

NEAREST = 2  # exemplars of a category that a text is compared with
MIN_FOR_STATISTICS = 20  # pictures or texts from which a library's own averages are used
PROMPTS = 5  # of each category, of what it looks like
REFERENCE = 600  # exemplars whose cosines to the others give the scale


class Reactions:
    """The reaction model, applied to messages and to what is known of GIFs."""

    def __init__(self, model: ReactionModel):
        self.categories, self.text_tower = model.categories, model.text_tower
        self._model = model
        self._answer = model.message_map @ model.text_map.T
        order = np.argsort(model.exemplar_categories, kind="stable")
        self._category = model.exemplar_categories[order].astype(np.int64)
        self._exemplars = model.exemplars[order]

    @classmethod
    @cache
    def load(cls) -> Reactions:
        """Read the shipped weights once; CheckpointError if they are missing or damaged."""
        return cls(ReactionModel.load())

    def called_for(self, sentences: np.ndarray) -> np.ndarray:
        """Return the probability of each reaction for messages (n, 384), (n, 43)."""
        return self._model.distribution(sentences)

    def answers(self, sentence: np.ndarray) -> np.ndarray:
        """Return the unit vector that texts answering a message are near to, (384,)."""
        vector = np.einsum("i,ij->j", sentence, self._answer)  # no threads: see Neighbours.logits
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    def kinds_of_texts(self, sentences: np.ndarray) -> np.ndarray:
        """Return how far texts (n, 384) express each reaction, (n, 43).

        In standard deviations over these texts, or over exemplars if they are too few.
        """
        found = self._nearest(sentences)
        if len(found) >= MIN_FOR_STATISTICS:
            mean, deviation = found.mean(axis=0), found.std(axis=0)
        else:
            mean, deviation = self._reference
        return np.asarray((found - mean) / np.maximum(deviation, 1e-6), np.float32)

    def _nearest(self, sentences: np.ndarray) -> np.ndarray:
        """Return the mean cosine to the nearest exemplars of each category, (n, 43)."""
        starts = np.searchsorted(self._category, np.arange(len(self.categories)))
        exemplars = self._exemplars.astype(np.float32)
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
        sample = np.linspace(0, len(self._exemplars) - 1, REFERENCE).astype(np.int64)
        similar = self._nearest(self._exemplars[sample])
        # An exemplar is its own nearest one.
        similar[np.arange(len(sample)), self._category[sample]] = np.nan
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
        texts: dict[str, list[str]] = {category: [] for category in self.categories}
        for looks in load_reaction_texts("looks"):
            texts[looks.categories[0]].append(looks.text)
        n = min(PROMPTS, *map(len, texts.values()))
        rows = encoder.encode_text([text for of_one in texts.values() for text in of_one[:n]])
        return rows.reshape(len(texts), n, -1)


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

"""The reaction model beside `mini`: which kind of answer a message calls for, and what answers it.

It works on sentence embeddings of mini's frozen text tower (MiniLM, before mini's projection), so
that it serves every checkpoint. `reaction-search train --reactions` makes the file,
retrieval.training.reactions says how. The texts that it learned from are data/reaction_texts;
those of kind "looks" are read here as well, because each checkpoint encodes them by itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from retrieval.encoders.presets import CHECKPOINTS
from retrieval.errors import CheckpointError, SourceError
from retrieval.paths import ROOT

REACTIONS = "reactions.safetensors"
FORMAT_VERSION = 2  # 2: training messages, whose nearest ones speak beside the head
REACTION_TEXTS = ROOT / "data" / "reaction_texts"
HANDS = "abcd"  # of the descriptions

Kind = Literal["looks", "says", "name"]


@dataclass(frozen=True)
class ReactionText:
    """What a GIF may look like, say or be called, and its categories, the main one first."""

    kind: Kind
    text: str
    categories: tuple[str, ...]


def load_reaction_texts(
    kind: Kind | None = None, folder: Path = REACTION_TEXTS
) -> list[ReactionText]:
    """The prompts, then the descriptions; of one kind only if it is given.

    SourceError if a file is missing or malformed.
    """
    try:
        prompts = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
        kinds: dict[Kind, str] = {"name": "names", "says": "says", "looks": "looks"}
        texts = [
            ReactionText(of_kind, text, (category,))
            for of_kind, key in kinds.items()
            for category, by_kind in prompts.items()
            for text in by_kind[key]
        ]
        for hand in HANDS:
            file = folder / f"descriptions_{hand}.jsonl"
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                texts.append(ReactionText(row["kind"], row["text"], tuple(row["categories"])))
                if row["kind"] not in get_args(Kind) or not row["categories"]:
                    raise ValueError(f"in {file.name}: {line[:80]!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{folder} does not hold the texts of reactions ({error}). Get them back: "
            f"git checkout -- data/reaction_texts"
        ) from error
    return [text for text in texts if kind in (None, text.kind)]


FEW_MESSAGES = 8  # of one query


@dataclass(frozen=True)
class Neighbours:
    """How the nearest training messages share in the distribution, chosen on the dev messages."""

    k: int = 40
    temperature: float = 0.05  # of their cosines
    floor: float = 0.003  # share of a category that none of them has
    weight: float = 1.0  # of the shares' logarithm beside the head's logits

    def logits(
        self, messages: np.ndarray, known: np.ndarray, categories: np.ndarray, n: int
    ) -> np.ndarray:
        """What the nearest of the `known` messages (m, 384) say of others, (n_messages, n)."""
        k = min(self.k, len(known))
        # Of a visitor's message not as a matrix product: BLAS starts a thread per core for it, and
        # on a busy server they wait for one another (a search took 95 ms instead of 26).
        is_query = len(messages) <= FEW_MESSAGES
        cosines = (
            np.stack([np.einsum("ij,j->i", known, message) for message in messages])
            if is_query
            else messages @ known.T
        )
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        share = np.zeros((len(messages), n), np.float32)
        rows = np.arange(len(messages))[:, None]
        powers = np.exp((np.take_along_axis(cosines, nearest, axis=1) - 1) / self.temperature)
        np.add.at(share, (np.broadcast_to(rows, nearest.shape), categories[nearest]), powers)
        share /= share.sum(axis=1, keepdims=True)
        return np.asarray(self.weight * np.log(share + self.floor), np.float32)


@dataclass(frozen=True)
class ReactionModel:
    """A calibrated head over categories and the messages that it learned from, two maps that
    bring answers near, and exemplars.

    All of it takes unit sentence embeddings, (n, 384); C is the number of categories.
    """

    categories: tuple[str, ...]
    head_weight: np.ndarray  # (C, 384) float32
    head_bias: np.ndarray  # (C,) float32
    message_map: np.ndarray  # (384, 384) float32
    text_map: np.ndarray  # (384, 384) float32
    messages: np.ndarray  # (m, 384) float32: the training messages
    message_categories: np.ndarray  # (m,) int16
    neighbours: Neighbours
    exemplars: np.ndarray  # (n, 384) float16, for builds: names, words and looks of reactions
    exemplar_categories: np.ndarray  # (n,) int16: the main category of each
    text_tower: str  # SHA-256 of the text tower that it was trained on

    @classmethod
    def load(cls, folder: Path = CHECKPOINTS / "mini") -> ReactionModel:
        """Read the file in a checkpoint's folder; CheckpointError if it is missing or damaged."""
        from safetensors import SafetensorError, safe_open

        file = folder / REACTIONS
        try:
            with safe_open(file, "np") as stored:
                facts = json.loads(stored.metadata()["reaction_model"])
                if facts["format_version"] != FORMAT_VERSION:
                    raise ValueError(f"format version {facts['format_version']}")
                arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            model = cls(
                tuple(facts["categories"]),
                arrays["message_head.weight"],
                arrays["message_head.bias"],
                arrays["answer.message"].astype(np.float32),
                arrays["answer.text"].astype(np.float32),
                arrays["messages.vectors"].astype(np.float32),
                arrays["messages.category"].astype(np.int64),
                Neighbours(**facts["neighbours"]),
                arrays["exemplars.vectors"],
                arrays["exemplars.category"],
                facts["text_tower"],
            )
            model._check()
            return model
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{file} is no reaction model ({error}). Train it: reaction-search train "
                f"--reactions --out {folder}"
            ) from error

    def _check(self) -> None:
        """ValueError if an array has another shape, or names a category that is not there."""
        n, m, e = len(self.categories), len(self.messages), len(self.exemplars)
        dim = self.head_weight.shape[-1]
        expected = (
            ("head", self.head_weight, (n, dim)),
            ("bias", self.head_bias, (n,)),
            ("map of messages", self.message_map, (dim, dim)),
            ("map of texts", self.text_map, (dim, dim)),
            ("messages", self.messages, (m, dim)),
            ("categories of messages", self.message_categories, (m,)),
            ("exemplars", self.exemplars, (e, dim)),
            ("categories of exemplars", self.exemplar_categories, (e,)),
        )
        for what, array, shape in expected:
            if array.shape != shape or not array.size:
                raise ValueError(f"{what} of shape {array.shape}; expected {shape}")
        for numbers in (self.message_categories, self.exemplar_categories):
            if not 0 <= numbers.min() <= numbers.max() < n:
                raise ValueError(f"a category beyond the {n}")

    def distribution(self, messages: np.ndarray) -> np.ndarray:
        """How likely a message calls for each category, float32 (n, C); rows sum to 1."""
        logits = messages @ self.head_weight.T + self.head_bias
        logits += self.neighbours.logits(
            messages, self.messages, self.message_categories, len(self.categories)
        )
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
        return shares

    def map_messages(self, messages: np.ndarray) -> np.ndarray:
        """Messages as unit vectors (n, 384), near those of `map_texts` that answer them."""
        return _unit(messages @ self.message_map)

    def map_texts(self, texts: np.ndarray) -> np.ndarray:
        """Names or words of GIFs as unit vectors (n, 384), for `map_messages`."""
        return _unit(texts @ self.text_map)


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit

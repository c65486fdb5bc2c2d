"""Make the reaction model: a calibrated head, two answer maps and exemplars, in one file.

The head is multinomial logistic regression on sentence embeddings of the training messages, then
one temperature fitted on the development messages (Guo et al., 2017) and folded into the weights,
so that its softmax is a calibrated distribution. The maps are those of
retrieval.training.answer_maps. Exemplars are the embeddings of all data/reaction_texts but the
answers. It takes a minute and a half on two cores, most of it for the
embeddings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from retrieval.encoders.reaction_model import (
    FORMAT_VERSION,
    REACTION_TEXTS,
    REACTIONS,
    Neighbours,
    ReactionText,
    load_reaction_texts,
)
from retrieval.errors import SourceError
from retrieval.evaluation.art import key_of_char
from retrieval.evaluation.data import DATA, Message, load_messages, load_reactions
from retrieval.library import Bundle
from retrieval.paths import STARTER
from retrieval.training import answer_maps
from retrieval.training.answer_maps import CategoryPairs, Pairs, fit_answer_maps

ANSWER_HANDS = "abcdef"
TEXT_TOWER = "text_tower.safetensors"
N_BINS = 15  # of the expected calibration error

Embed = Callable[[Sequence[str]], np.ndarray]  # unit sentence embeddings, float32 (n, width)
Report = Callable[[str], None]


HANDS = "abcdfghi"  # of data/messages/train_*, by category; train_e is by emoji


@dataclass(frozen=True)
class Answers:
    """A message and texts of GIFs (names, words, looks) that answer it."""

    message: str
    texts: tuple[str, ...]


def load_answers(hand: str, folder: Path = REACTION_TEXTS) -> list[Answers]:
    """The messages with their answers in answers_HAND.jsonl."""
    file = folder / f"answers_{hand}.jsonl"
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return [Answers(r["message"], tuple(g["text"] for g in r["gifs"])) for r in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{file} does not hold messages and their answers ({error}). Get it back: "
            f"git checkout -- data/reaction_texts"
        ) from error


@dataclass(frozen=True)
class ReactionCorpus:
    """All texts that the model is made of. Emoji are (title, title with tags, key)."""

    categories: tuple[str, ...]
    train: list[Message]
    dev: list[Message]
    test: list[Message]
    by_emoji: list[Message]
    texts: list[ReactionText]
    answers: list[Answers]
    emoji: list[tuple[str, str, str]] = field(default_factory=list)

    @classmethod
    def load(cls, data: Path = DATA, starter: Path = STARTER) -> ReactionCorpus:
        """The project's own data, and the names and tags of the starter library."""
        records = Bundle.open(starter).records
        return cls(
            tuple(sorted(load_reactions(data))),
            [m for hand in HANDS for m in load_messages(f"train_{hand}", data)],
            load_messages("dev", data),
            load_messages("test", data),
            load_messages("train_e", data),
            load_reaction_texts(folder=data / REACTION_TEXTS.name),
            [a for hand in ANSWER_HANDS for a in load_answers(hand, data / REACTION_TEXTS.name)],
            [
                (r.title, f"{r.title}: {', '.join(r.tags)}", key_of_char(r.emoji))
                for r in records
            ],
        )  # fmt: skip

    def digest(self) -> str:
        """SHA-256 of everything that training reads; the test messages are not."""
        trained = {name: value for name, value in asdict(self).items() if name != "test"}
        return hashlib.sha256(json.dumps(trained).encode()).hexdigest()


def train_reactions(
    folder: Path,
    embed: Embed,
    corpus: ReactionCorpus,
    report: Report,
    settings: answer_maps.Settings = answer_maps.Settings(),  # noqa: B008 (frozen)
) -> None:
    """Write REACTIONS into the folder of the checkpoint whose text tower `embed` is."""
    from safetensors.numpy import save

    sentences = EmbeddedTexts(embed)
    weight, bias, neighbours = fit_head(corpus, sentences, report)
    exemplars = sentences([t.text for t in corpus.texts])
    maps = fit_maps(corpus, sentences, settings)
    report(f"answer maps fitted on {len(corpus.answers)} messages with answers")
    index = {category: i for i, category in enumerate(corpus.categories)}
    facts = {
        "format_version": FORMAT_VERSION,
        "categories": corpus.categories,
        "text_tower": hashlib.sha256((folder / TEXT_TOWER).read_bytes()).hexdigest(),
        "seed": settings.seed,
        "data": corpus.digest(),
        "neighbours": asdict(neighbours),
    }
    arrays = {
        "message_head.weight": weight,
        "message_head.bias": bias,
        "messages.vectors": sentences([m.text for m in corpus.train]).astype(np.float16),
        "messages.category": _labels(corpus.train, corpus.categories).astype(np.int16),
        "answer.message": maps[0].astype(np.float16),
        "answer.text": maps[1].astype(np.float16),
        "exemplars.vectors": exemplars.astype(np.float16),
        "exemplars.category": np.array([index[t.categories[0]] for t in corpus.texts], np.int16),
    }
    partial = folder / f"{REACTIONS}.partial"
    # safetensors writes the memory of an array as it is, whatever its order; scikit-learn's
    # weights are in Fortran order. And save_file would make a file that others cannot read.
    ordered = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    partial.write_bytes(save(ordered, metadata={"reaction_model": json.dumps(facts)}))
    partial.replace(folder / REACTIONS)
    report(f"written to {folder / REACTIONS}")


class EmbeddedTexts:
    """Sentence embeddings, each distinct text encoded once."""

    def __init__(self, embed: Embed):
        self._embed = embed
        self._rows: dict[str, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows, float32 (n, width)."""
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if new:
            new.sort(key=len)  # little padding in a batch
            self._rows.update(zip(new, self._embed(new).astype(np.float32), strict=True))
        return np.stack([self._rows[text] for text in texts])


def fit_head(
    corpus: ReactionCorpus, sentences: EmbeddedTexts, report: Report
) -> tuple[np.ndarray, np.ndarray, Neighbours]:
    """Weight (C, width) and bias (C,), float32, and the part of the training messages: together
    a calibrated softmax over the categories. The temperatures are fitted on the dev messages."""
    from sklearn.linear_model import LogisticRegression

    train, dev, test = (
        (sentences([m.text for m in part]), _labels(part, corpus.categories))
        for part in (corpus.train, corpus.dev, corpus.test)
    )
    head = LogisticRegression(C=8, max_iter=300).fit(*train)
    n = len(corpus.categories)
    if len(head.classes_) != n:
        raise SourceError("The training messages lack a category of data/reactions.json.")
    of_head = fit_temperature(head.decision_function(dev[0]), dev[1])
    neighbours = Neighbours()

    def logits(messages: np.ndarray) -> np.ndarray:
        nearest = neighbours.logits(messages, *train, n)
        return np.asarray(head.decision_function(messages) / of_head + nearest)

    of_both = fit_temperature(logits(dev[0]), dev[1])
    for name, of_test in (
        ("head alone", head.decision_function(test[0]) / of_head),
        ("with neighbours", logits(test[0])),
        (f"after temperature {of_both:.3f}", logits(test[0]) / of_both),
    ):
        report(f"test messages, {name}: {figures(of_test, test[1])}")
    scale = of_head * of_both
    weight, bias = head.coef_ / scale, head.intercept_ / scale
    neighbours = replace(neighbours, weight=neighbours.weight / of_both)
    return weight.astype(np.float32), bias.astype(np.float32), neighbours


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the least negative log-likelihood."""
    from scipy.optimize import minimize_scalar

    def nll(log_temperature: float) -> float:
        return _nll(logits / np.exp(log_temperature), labels)

    return float(np.exp(minimize_scalar(nll, bounds=(-2, 2), method="bounded").x))


def fit_maps(
    corpus: ReactionCorpus, sentences: EmbeddedTexts, settings: answer_maps.Settings
) -> tuple[np.ndarray, np.ndarray]:
    """The answer maps of all answers in the corpus, (width, width) each."""
    belongs = np.array([[c in t.categories for c in corpus.categories] for t in corpus.texts])
    categories = CategoryPairs(
        sentences([m.text for m in corpus.train]),
        _labels(corpus.train, corpus.categories),
        sentences([t.text for t in corpus.texts]),
        belongs,
    )
    answered = [i for i, a in enumerate(corpus.answers) for _ in a.texts]
    answers = Pairs(
        sentences([a.message for a in corpus.answers]),
        sentences([text for a in corpus.answers for text in a.texts]),
        np.stack([answered, np.arange(len(answered))], axis=1),
        np.array(answered),
    )
    # Each emoji stands twice among the texts, by its title and by its title with tags.
    row = {key: i for i, (_, _, key) in enumerate(corpus.emoji)}
    keys = [[key_of_char(char) for char in m.emoji] for m in corpus.by_emoji]
    chosen = np.array([(i, row[k]) for i, asked in enumerate(keys) for k in asked if k in row])
    emoji = Pairs(
        sentences([m.text for m in corpus.by_emoji]),
        sentences([title for title, _, _ in corpus.emoji] + [tags for _, tags, _ in corpus.emoji]),
        np.concatenate([chosen, chosen + np.array([0, len(corpus.emoji)])]),
        np.tile(chosen[:, 1], 2),
    )
    return fit_answer_maps(categories, answers, emoji, settings)


def _labels(messages: Sequence[Message], categories: Sequence[str]) -> np.ndarray:
    index = {category: i for i, category in enumerate(categories)}
    return np.array([index[m.category] for m in messages])


def figures(logits: np.ndarray, labels: np.ndarray) -> str:
    """Accuracy, negative log-likelihood and expected calibration error, in a line."""
    order = np.argsort(-logits, axis=1)
    top_1, top_5 = ((order[:, :k] == labels[:, None]).any(axis=1).mean() for k in (1, 5))
    nll, error = _nll(logits, labels), calibration_error(_probabilities(logits), labels)
    return f"top-1 {top_1:.3f}, top-5 {top_5:.3f}, NLL {nll:.3f}, ECE {error:.3f}"


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error over N_BINS equal bins of the highest probability.

    >>> calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    0.0
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    gaps = (abs((right - confidence)[bins == b].sum()) for b in np.unique(bins))
    return float(sum(gaps) / len(labels))


def _probabilities(logits: np.ndarray) -> np.ndarray:
    odds: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _nll(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(_probabilities(logits)[np.arange(len(labels)), labels]).mean())

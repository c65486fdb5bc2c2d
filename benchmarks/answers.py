"""Whether the answer maps of the reaction model find answers better than the bare embeddings.

Three folds over the six files of data/reaction_texts/answers_*: the maps are trained on four and
tested on two. A test message ranks all texts that were written as answers in its two files; its
own are relevant. A message with a cosine of 0.75 or more to a training message of the fold is
not scored. Categories and emoji are trained on in every fold: they are no answers.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.metrics import ndcg_score

from retrieval.encoders import CHECKPOINTS, Checkpoint
from retrieval.encoders.openvino import ExportedEncoder
from retrieval.evaluation.metrics import hit_rate_at_k, ranks_of
from retrieval.training.answer_maps import Settings
from retrieval.training.reactions import EmbeddedTexts, ReactionCorpus, fit_maps, load_answers

FOLDS = ("ae", "bf", "cd")  # tested on
TOO_NEAR = 0.75


def measure_answers() -> None:
    """Print a table: bare and mapped embeddings, by fold and together."""
    mini = Checkpoint.parse("mini")
    exported = (CHECKPOINTS / "mini") / "exported" / "float32"
    sentences = EmbeddedTexts(ExportedEncoder(exported, mini).encode_sentences)
    corpus = ReactionCorpus.load()
    print("tested on  messages  texts  embeddings  nDCG@10  hit@1  hit@5")
    rows: dict[str, list[np.ndarray]] = {"bare": [], "mapped": []}
    for tested in FOLDS:
        trained = [a for hand in "abcdef" if hand not in tested for a in load_answers(hand)]
        held_out = [a for hand in tested for a in load_answers(hand)]
        messages = sentences([a.message for a in held_out])
        near = messages @ sentences([a.message for a in trained]).T
        scored = near.max(axis=1) < TOO_NEAR
        texts = sentences([text for a in held_out for text in a.texts])
        owner = np.repeat(np.arange(len(held_out)), [len(a.texts) for a in held_out])
        relevant = np.flatnonzero(scored)[:, None] == owner
        maps = fit_maps(replace(corpus, answers=trained), sentences, Settings())
        for name, (of_messages, of_texts) in {"bare": (None, None), "mapped": maps}.items():
            scores = _mapped(messages[scored], of_messages) @ _mapped(texts, of_texts).T
            measured = _figures(scores, relevant)
            rows[name].append(measured)
            _print(" and ".join(tested), len(scores), len(texts), name, measured)
    for name, folds in rows.items():
        _print("mean", "", "", name, np.mean(folds, axis=0))


def _mapped(rows: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    if weight is None:
        return rows
    mapped = rows @ weight
    return mapped / np.linalg.norm(mapped, axis=1, keepdims=True)


def _figures(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    hits = partial(hit_rate_at_k, ranks_of(scores, relevant))
    return 100 * np.array([ndcg_score(relevant, scores, k=10), hits(1), hits(5)])


def _print(tested: str, messages: object, texts: object, name: str, found: np.ndarray) -> None:
    ndcg, hit_1, hit_5 = found
    where = f"{tested:9s}  {messages!s:>8}  {texts!s:>5}  {name:10s}"
    print(f"{where}  {ndcg:7.1f}  {hit_1:5.1f}  {hit_5:5.1f}")

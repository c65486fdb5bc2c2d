"""The words of the training: names, tags and chat messages, each with its emoji.

A text's *answers* are the emoji that fit it: the emoji itself for a name, all
that carry it for a tag, and for a message those of its category in
data/reactions.json, or those that its writer named.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from retrieval.evaluation.art import Emoji, key_of_char
from retrieval.evaluation.data import DATA, load_messages, load_reactions

TRAIN_HANDS = ("train_a", "train_b", "train_c", "train_d", "train_e")


@dataclass(frozen=True)
class Text:
    """A training text with the indices of its answers in the list of emoji."""

    text: str
    answers: tuple[int, ...]
    kind: str  # "name", "tag" or "message"


def training_texts(emoji: list[Emoji], data: Path = DATA) -> list[Text]:
    """All names, tags and training messages, with their answers."""
    index = {e.key: i for i, e in enumerate(emoji)}
    texts = []
    carriers: dict[str, list[int]] = defaultdict(list)
    for i, e in enumerate(emoji):
        texts += [Text(name, (i,), "name") for name in e.names]
        for tag in e.tags:
            carriers[tag].append(i)
    # A tag that half the emoji share ("face", "person") says nothing about any of them.
    texts += [Text(tag, tuple(found), "tag") for tag, found in carriers.items() if len(found) <= 40]
    reactions = load_reactions(data)
    for hand in TRAIN_HANDS:
        for m in load_messages(hand, data):
            chars = m.emoji or reactions[m.category]
            answers = tuple(index[key] for key in map(key_of_char, chars) if key in index)
            texts.append(Text(m.text, answers, "message"))
    return texts

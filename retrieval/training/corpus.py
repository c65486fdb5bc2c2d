"""The words of the training: names, tags and chat messages, each with its emoji.

A text's *answers* are the emoji that fit it: the emoji itself for a name, all
that carry it for a tag, and for a message those of its category in
data/reactions.json, or those that its writer named.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import SourceError
from retrieval.training.art import Emoji, key_of_char

DATA = Path(__file__).parents[2] / "data"
TRAIN_HANDS = ("train_a", "train_b", "train_c", "train_d", "train_e")


@dataclass(frozen=True)
class Message:
    """A chat message and what it calls for: a reaction category, or emoji by name."""

    text: str
    category: str = ""
    emoji: tuple[str, ...] = ()


@dataclass(frozen=True)
class Text:
    """A training text with the indices of its answers in the list of emoji."""

    text: str
    answers: tuple[int, ...]
    kind: str  # "name", "tag" or "message"


def load_reactions(data: Path = DATA) -> dict[str, list[str]]:
    """The 43 categories of ReactionGIF (ACL 2021), each with the emoji that express it."""
    return json.loads((data / "reactions.json").read_text(encoding="utf-8"))


def load_starter(data: Path = DATA) -> list[str]:
    """The emoji of the starter library: all of load_reactions, then data/starter.json."""
    reactions = [char for chars in load_reactions(data).values() for char in chars]
    others = json.loads((data / "starter.json").read_text(encoding="utf-8"))
    return list(dict.fromkeys(reactions + others))


def load_messages(name: str, data: Path = DATA) -> list[Message]:
    """The messages of data/messages/NAME.jsonl, in order."""
    path = data / "messages" / f"{name}.jsonl"
    if not path.is_file():
        raise SourceError(f"{path} is missing. Get it back: git checkout -- data/messages")
    messages = []
    for number, line in enumerate(path.read_text(encoding="utf-8").rstrip("\n").split("\n"), 1):
        try:
            record = json.loads(line)
            emoji = tuple(record.get("emoji", ()))
            category = "" if emoji else record["category"]
            messages.append(Message(record["text"], category, emoji))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(
                f"{path}, line {number}: expected text and a category, or text and emoji, "
                f"got {line[:80]!r}"
            ) from error
    return messages


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

"""Reaction categories, messages and the starter library, as data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import SourceError
from retrieval.paths import ROOT

DATA = ROOT / "data"


@dataclass(frozen=True)
class Message:
    """A chat message and what it calls for: a reaction category, or emoji by name."""

    text: str
    category: str = ""
    emoji: tuple[str, ...] = ()


def load_reactions(data: Path = DATA) -> dict[str, list[str]]:
    """The 43 categories of ReactionGIF (ACL 2021), each with the emoji that express it."""
    reactions: dict[str, list[str]] = json.loads(
        (data / "reactions.json").read_text(encoding="utf-8")
    )
    return reactions


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

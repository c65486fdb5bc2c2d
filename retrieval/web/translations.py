"""The texts of the page in every language it is available in: texts/LANGUAGE.json.

The language of queries is a matter of the checkpoint, not of this file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "ko": "한국어"}


@dataclass(frozen=True)
class TextKey:
    """A value that is itself a text of the page, such as the name of a language."""

    key: str


@dataclass(frozen=True)
class Sentence:
    """A text of the page with its values, to be put into the visitor's language."""

    key: str
    values: dict[str, object] = field(default_factory=dict)


@cache
def texts(language: str) -> dict[str, str]:
    """All texts in a language, by key."""
    file = Path(__file__).with_name("texts") / f"{language}.json"
    read: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return read


def translate(language: str, key: str, /, **values: object) -> str:
    """The text of a key in a language ("en", "ko"), with the values filled in.

    Values that are a `TextKey`, or a tuple of them and of words, are translated as well.

    >>> translate("en", "signals_loaded", signals=(TextKey("signal_frames"), "sound"))
    'Signals: frames, sound'
    """
    text = texts(language)[key]
    if not values:
        return text
    return text.format(**{name: _as_text(language, value) for name, value in values.items()})


def _as_text(language: str, value: object) -> object:
    if isinstance(value, TextKey):
        return translate(language, value.key)
    if isinstance(value, tuple):
        return ", ".join(str(_as_text(language, part)) for part in value)
    return value

"""The texts of the page in every language it is available in: texts/LANGUAGE.json.

The language of queries is a matter of the checkpoint, not of this file.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "ko": "한국어"}


@cache
def texts(language: str) -> dict[str, str]:
    """All texts in a language, by key."""
    file = Path(__file__).with_name("texts") / f"{language}.json"
    read: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return read


def translate(language: str, key: str, **values: object) -> str:
    """The text of a key in a language ("en", "ko"), with the values filled in."""
    text = texts(language)[key]
    return text.format(**values) if values else text

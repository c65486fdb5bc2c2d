"""Recognise the language of a message: by its script, and in Latin script by CLD2.

The one importer of pycld2, Compact Language Detector 2 (Apache-2.0). Where it is not installed
(it has no wheel for every system) messages in Latin script are taken as they are.

Of the 13,226 English messages of this repository CLD2 names another language for 2: one is
French. Of 480 short messages in its eight languages it recognises 354, and takes 1 for another
of the eight (`python -m benchmarks languages`).
"""

from __future__ import annotations

import importlib.util
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

MIN_WORDS, MIN_LETTERS = 2, 8  # of a message in Latin script; with less CLD2 guesses


@dataclass(frozen=True)
class Language:
    """What a message is written in: a language, or a script that several share."""

    key: str  # in the page's texts, after "language_"
    codes: frozenset[str]  # ISO 639-1 of the languages that it may be


def _language(key: str, codes: str = "") -> Language:
    return Language(key, frozenset((codes or key).split()))


# By the first word of a letter's Unicode name.
SCRIPTS = {
    "HANGUL": _language("ko"),
    "HIRAGANA": _language("ja"),
    "KATAKANA": _language("ja"),
    "CJK": _language("han", "zh ja"),
    "CYRILLIC": _language("cyrl", "ru uk be bg mk sr kk ky mn tg"),
    "ARABIC": _language("arab", "ar fa ur ps ckb sd ug"),
    "DEVANAGARI": _language("deva", "hi mr ne"),
    "GREEK": _language("el"),
    "HEBREW": _language("he", "he yi"),
    "THAI": _language("th"),
}
OTHER = Language("other_script", frozenset())
_LATIN = "LATIN"

# What CLD2 is trusted with: those it was measured on. Malay and Indonesian look alike to it.
_CLD2 = {code: _language(code) for code in ("es", "de", "fr", "pt", "it", "nl", "tr", "id")}
_CLD2["ms"] = _CLD2["id"]

_NO_WORD = re.compile(r"[^\w\s'’-]|\d|_")


def recognise_language(message: str) -> Language | None:
    """Return the language of a message; None if it may be English, or is not certain.

    Emoji, digits, punctuation and emoticons (ツ, ಠ_ಠ) are no letters of a script.

    >>> [found and found.key for found in map(recognise_language, ["축하해요!", "こんにちは 東京"])]
    ['ko', 'ja']
    >>> recognise_language("I got the job 🎉") or recognise_language(r"¯\\_(ツ)_/¯")
    """
    letters = Counter[str]()
    for script, run in _runs(message):
        # Emoticons borrow single letters, but not those of Hangul.
        if run > 1 or script in (_LATIN, "HANGUL"):
            letters[script] += run
    if not letters:
        return None
    if letters["HIRAGANA"] + letters["KATAKANA"]:  # Japanese mixes three scripts
        letters["HIRAGANA"] += letters.pop("KATAKANA", 0) + letters.pop("CJK", 0)
    script, n = letters.most_common(1)[0]
    if script == _LATIN:
        return _recognise_latin(message)
    return SCRIPTS.get(script, OTHER) if 2 * n > letters.total() else None


def _runs(message: str) -> Iterator[tuple[str, int]]:
    """The scripts of a message's letters, and how many of a script stand side by side."""
    script, n = "", 0
    for char in message:
        category = unicodedata.category(char)
        if category.startswith("M"):
            continue  # vowel signs and accents belong to the letter before
        of_char = _script(char) if category in ("Lu", "Ll", "Lt", "Lo") else ""
        if of_char != script:
            if script:
                yield script, n
            script, n = of_char, 0
        n += 1
    if script:
        yield script, n


def _script(letter: str) -> str:
    plain = unicodedata.normalize("NFKC", letter)[0]  # 𝓱 and Ｌ are Latin
    return unicodedata.name(plain, "OTHER").split()[0].split("-")[0]


def _recognise_latin(message: str) -> Language | None:
    text = " ".join(_NO_WORD.sub(" ", message).split())
    if len(text.split()) < MIN_WORDS or sum(map(str.isalpha, text)) < MIN_LETTERS:
        return None
    if importlib.util.find_spec("pycld2") is None:
        return None
    import pycld2

    try:
        _, _, found = pycld2.detect(text, bestEffort=True, hintLanguage="en")
    except pycld2.error:  # characters that it takes for damaged UTF-8
        return None
    return _CLD2.get(found[0][1])

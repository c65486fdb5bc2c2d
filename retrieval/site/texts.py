"""What the engine says and how it reads a message: sentences, scripts, emoji, characters.

Everything is taken from where the Python search has it, so that the two cannot disagree.
"""

from __future__ import annotations

import html.entities
from collections.abc import Mapping, Sequence
from typing import Any

import emoji
from ftfy import chardata

from retrieval.encoders.tokenizer import MIN_WIDTH
from retrieval.search import Searcher
from retrieval.signals import Reactions
from retrieval.web import (
    LANGUAGES,
    OTHER,
    SCRIPTS,
    Advice,
    language_advice,
    outdated_advice,
    sight_advice,
    texts,
    translate,
)

NEEDED = ("nothing", "engine_", "loading_")  # how the keys of the engine's texts begin
# Unicode's property Script has other names than the first words of letters' names.
_PROPERTIES = {"CJK": "Han"}


def engine_texts() -> dict[str, dict[str, str]]:
    """Return the sentences that the engine may say, by language and key."""
    return {
        language: {key: text for key, text in texts(language).items() if key.startswith(NEEDED)}
        for language in LANGUAGES
    }


def reaction_titles() -> dict[str, Any]:
    """Return the reactions' titles by language, in the order of the categories."""
    names = Reactions.load().categories
    return {lang: [translate(lang, f"reaction_{name}") for name in names] for lang in LANGUAGES}


def advice_tables(searcher: Searcher) -> dict[str, Any]:
    """Return what a visitor is told: by the language of a message, on sight, on age.

    Languages are recognised by script only; CLD2, which tells the languages in Latin script
    apart on a server, does not run in the browser.
    """
    languages = {language.key: language for language in (*SCRIPTS.values(), OTHER)}
    outdated = outdated_advice(searcher)
    return {
        "scripts": {
            _PROPERTIES.get(name, name.title()): language.key for name, language in SCRIPTS.items()
        },
        "other_script": OTHER.key,
        "by_language": {
            key: _said(language_advice(language, searcher)) for key, language in languages.items()
        },
        "sight": _said(sight_advice(searcher)),
        "outdated": _said([outdated] if outdated else []),
    }


def _said(advice: Sequence[Advice]) -> dict[str, list[str]]:
    return {lang: [translate(lang, a.key, **a.values) for a in advice] for lang in LANGUAGES}


def cleaning_tables() -> dict[str, Any]:
    """Return the tables by which a message is cleaned before it is tokenized.

    Emoji with their names, without skin tones, which are dropped first; the ligatures and
    widths that ftfy replaces; the character references of HTML 4. What ftfy does to text that
    was decoded with the wrong encoding is left out: it is of files, not of typed messages.
    """
    tones = {chr(tone) for tone in range(0x1F3FB, 0x1F400)}
    return {
        "min_width": MIN_WIDTH,
        "emoji": {
            sign: facts["en"].strip(":").replace("_", " ")
            for sign, facts in emoji.EMOJI_DATA.items()
            if not tones & set(sign)
        },
        "characters": _characters({**chardata.LIGATURES, **chardata.WIDTH_MAP}),
        "entities": {name: chr(code) for name, code in html.entities.name2codepoint.items()},
    }


def _characters(replaced: Mapping[int, str]) -> dict[str, str]:
    return {chr(code): text for code, text in replaced.items()}

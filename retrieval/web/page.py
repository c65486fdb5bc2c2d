"""The configuration of the page's JavaScript: texts, examples, settings."""

from __future__ import annotations

from collections.abc import Mapping

from retrieval.errors import SettingsError
from retrieval.web.frontend import frontend_folder
from retrieval.web.settings import Settings, current_settings
from retrieval.web.translations import LANGUAGES, texts

EXAMPLES = (  # the original demo's, word for word
    "OMG that is disgusting",
    "I'm so scared right now",
    "I got the job 🎉",
    "Congratulations to all the flax-community week teams",
    "You're awesome",
    "I love you ❤️",
)

OPENING = EXAMPLES[4]  # what the box opens with


def page_config(language: str, base: str = "/") -> Mapping[str, object]:
    """What the picker needs to start; an unknown language is the first one.

    `base` is the path of the page's root on its server.
    """
    if language not in LANGUAGES:
        language = next(iter(LANGUAGES))
    try:
        settings = current_settings()
    except SettingsError:  # the page shows the error
        settings = Settings()
    return {
        "lang": language,
        "base": base,
        "frontend": frontend_folder(),
        "texts": texts(language),
        "examples": EXAMPLES,
        "feedback": settings.feedback,
        "max_files": settings.max_files,
    }

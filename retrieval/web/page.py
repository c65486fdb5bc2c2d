"""The configuration of the page's JavaScript: texts, examples, settings."""

from __future__ import annotations

from collections.abc import Mapping

from retrieval.errors import SettingsError
from retrieval.search import Searcher
from retrieval.web.advice import EXAMPLES, examples_for
from retrieval.web.frontend import frontend_folder
from retrieval.web.settings import Settings, current_settings
from retrieval.web.translations import LANGUAGES, texts

OPENING = EXAMPLES[4]  # what the box opens with


def page_frame(language: str, base: str = "/") -> dict[str, object]:
    """What every module needs: its language, the page's root, where the modules are."""
    return {"lang": language, "base": base, "frontend": frontend_folder()}


def page_config(
    language: str, searcher: Searcher | None = None, base: str = "/"
) -> Mapping[str, object]:
    """What the picker needs to start; an unknown language is the first one.

    `searcher` is None while it loads. `base` is the path of the page's root on its server.
    """
    if language not in LANGUAGES:
        language = next(iter(LANGUAGES))
    try:
        settings = current_settings()
    except SettingsError:  # the page shows the error
        settings = Settings()
    return {
        **page_frame(language, base),
        "texts": texts(language),
        "examples": examples_for(searcher, language),
        "about": "about",
        "feedback": settings.feedback,
        "max_files": settings.max_files,
    }

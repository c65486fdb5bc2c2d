"""What the pages share: language, settings, the searcher, text that visitors may read."""

from typing import TypeVar

import streamlit as st

from retrieval.errors import SettingsError
from retrieval.paths import STARTER
from retrieval.search import Searcher
from retrieval.web import (
    LANGUAGES,
    Loading,
    Settings,
    current_settings,
    loading,
    translate,
    visible,
)

DRAW_EVERY_S = 0.25
TITLE_CHARS = 60

T = TypeVar("T")


def tr(key: str, **values: object) -> str:
    """A text of the page in the visitor's language."""
    language = st.session_state.get("lang", "en")
    return translate(language if language in LANGUAGES else "en", key, **values)


def page_settings() -> Settings:
    """The server's settings; ends the page with the error if one is invalid."""
    try:
        return current_settings()
    except SettingsError as error:
        st.error(str(error))
        st.stop()


def get_searcher() -> Searcher:
    """The searcher; ends the page while it loads and when it cannot be loaded."""
    settings = page_settings()
    load = loading(settings.index, settings.checkpoint)
    if load.error:
        st.error(visible(load.error))
        st.stop()
    if load.searcher is None and not load.wait(0.5):
        _show_progress(load)
        st.stop()
    return get_searcher() if load.searcher is None else load.searcher


@st.fragment(run_every=0.5)
def _show_progress(load: Loading) -> None:
    if load.done:
        st.rerun()
    st.progress(load.fraction, text=tr(load.step))


def library_name(searcher: Searcher) -> str:
    """The collection's name in headings."""
    path = getattr(searcher.collection, "path", None)
    if path is None:
        return tr("your_pictures")
    return tr("starter") if path == STARTER else searcher.collection.name

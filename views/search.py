"""The search page: the picker, which asks the server's API by itself."""

import streamlit as st

from retrieval.web import loading, page_config
from views.common import page_settings
from views.frontend import mount


def page() -> None:
    settings = page_settings()
    searcher = loading(settings.index, settings.checkpoint).searcher
    mount("search.js", page_config(st.session_state.get("lang", ""), searcher))


page()

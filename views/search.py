"""The search page: the picker, which asks the server's API by itself."""

import streamlit as st

from retrieval.web import page_config
from views.frontend import mount


def page() -> None:
    mount("search.js", page_config(st.session_state.lang))


page()

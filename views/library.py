"""The library page: what the collection holds, as numbers, a map, look-alikes and charts.

frontend/library.js draws it, from the answers of retrieval.api.library; this script only says
where it is, so it waits for no index and no checkpoint.
"""

from pathlib import Path

import streamlit as st

from retrieval.hub import Address, is_address
from retrieval.paths import STARTER
from retrieval.web import LANGUAGES, page_frame
from retrieval.web.translations import texts
from views.common import page_settings, tr
from views.frontend import mount

OTHER_TEXTS = ("gifs", "frames", "animated")


def page() -> None:
    index = page_settings().index
    st.title(tr("library_title", where=name_of(index)))
    language = st.session_state.get("lang", next(iter(LANGUAGES)))
    known = texts(language)
    shown = {
        key: text
        for key, text in known.items()
        if key.startswith(("lib_", "chart_")) or key in OTHER_TEXTS
    }
    mount("library.js", {**page_frame(language), "texts": shown, "library": name_of(index)})


def name_of(index: Path | str) -> str:
    """The collection's name in headings."""
    if index == STARTER:
        return tr("starter")
    return Address.parse(index).repo_id if is_address(index) else Path(index).name


page()

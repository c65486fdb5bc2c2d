"""The app: the server with its own routes, and the navigation between the pages.

    streamlit run app.py

Streamlit imports this file once, to start the server, which also serves each GIF of the
library, its small renditions and its embedded frames at URLs of their own. Streamlit then
runs it as a script for every view of a page: the navigation.
"""

from contextlib import suppress

import streamlit as st
from starlette.middleware import Middleware

from retrieval.api import Service, page_start
from retrieval.errors import SettingsError
from retrieval.web import (
    LANGUAGES,
    CloseUnusedRoutes,
    StartEarly,
    current_settings,
    frontend_route,
    loading,
    tune_server,
)


def main() -> None:
    from views.common import tr  # its caches need the running server
    from views.frontend import mark_language

    st.set_page_config(page_title="CLIP reaction search", page_icon="🎬", layout="wide")
    if "lang" not in st.session_state:
        language = st.query_params.get("lang")
        st.session_state.lang = language if language in LANGUAGES else next(iter(LANGUAGES))
    pages = [
        st.Page("views/search.py", title=tr("page_search"), icon=":material/search:"),
        st.Page("views/library.py", title=tr("page_library"), icon=":material/grid_view:"),
        st.Page("views/about.py", title=tr("page_about"), icon=":material/info:"),
    ]
    page = st.navigation(pages, position="top")
    with st.container(key="language"):
        mark_language(st.session_state.lang)
        st.segmented_control(
            tr("language"),
            list(LANGUAGES),
            required=True,
            format_func=LANGUAGES.__getitem__,
            key="lang",
            on_change=_keep_language,
            label_visibility="collapsed",
        )
    page.run()


def _keep_language() -> None:
    st.query_params["lang"] = st.session_state.lang


if __name__ == "__main__":
    main()
else:
    with suppress(SettingsError):  # the page shows the error
        settings = current_settings()
        loading(settings.index, settings.checkpoint)  # while the first browser gets the page
    service = Service()
    app = st.App(
        __file__,
        routes=[frontend_route(), *service.routes],
        middleware=[
            *service.middleware,
            Middleware(CloseUnusedRoutes),
            Middleware(StartEarly, config=page_start),
        ],
        lifespan=tune_server,
    )

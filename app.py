"""The app: the server with its own routes, and the navigation between the pages.

    streamlit run app.py

Streamlit imports this file once, to start the server, which also serves each GIF of the
library, its small renditions and its embedded frames at URLs of their own. Streamlit then
runs it as a script for every view of a page: the navigation.
"""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from retrieval.api import api_routes
from retrieval.api.library import library_routes
from retrieval.errors import SettingsError
from retrieval.web import LANGUAGES, current_settings, loading
from retrieval.web.frontend import FRONTEND, frontend_folder
from retrieval.web.media_routes import RejectInvalidMediaUrls, media_routes

STOP_S = 2  # seconds for open responses when the server is stopped


def main() -> None:
    from views.common import tr  # its caches need the running server

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
    with st.container(horizontal=True, horizontal_alignment="right"):
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


@asynccontextmanager
async def limit_shutdown(app: st.App) -> AsyncIterator[None]:
    """Limit how long uvicorn waits for open responses when it stops: STOP_S seconds.

    By default it waits forever. Streamlit has no option for this, but the signal handler is a
    method of the uvicorn server that runs this app.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(server, uvicorn.Server):
        server.config.timeout_graceful_shutdown = STOP_S
    yield


if __name__ == "__main__":
    main()
else:
    with suppress(SettingsError):  # the page shows the error
        settings = current_settings()
        loading(settings.index, settings.checkpoint)  # while the first browser gets the page
    app = st.App(
        __file__,
        routes=[
            *media_routes(),
            *api_routes(),
            *library_routes(),
            Mount(f"/{frontend_folder()}", StaticFiles(directory=FRONTEND)),
        ],
        middleware=[Middleware(RejectInvalidMediaUrls)],
        lifespan=limit_shutdown,
    )

"""The app: the server with its own routes, and the navigation between the pages.

    streamlit run app.py

Streamlit imports this file once, to start the server, which also serves each GIF of the
library, its small renditions and its embedded frames at URLs of their own. Streamlit then
runs it as a script for every view of a page: the navigation.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import streamlit as st
import uvicorn
from starlette.middleware import Middleware

from retrieval.api import api_routes, page_start
from retrieval.errors import SettingsError
from retrieval.web import LANGUAGES, StartEarly, current_settings, frontend_route, loading
from retrieval.web.media_routes import RejectInvalidMediaUrls, media_routes

STOP_S = 2  # seconds for open responses when the server is stopped


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


@asynccontextmanager
async def tune_server(app: st.App) -> AsyncIterator[None]:
    """Limit how long uvicorn waits for open responses when it stops, and send without delay.

    Streamlit has no options for these, but the signal handler is a method of the uvicorn
    server that runs this app. By default it waits forever. asyncio sends small packets at once
    only on sockets that were made with the number of the protocol, which Streamlit's is not:
    each answer on a connection that is kept open took 44 ms, and takes 2 ms this way.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    tuning = None
    if isinstance(server, uvicorn.Server):
        server.config.timeout_graceful_shutdown = STOP_S
        tuning = asyncio.create_task(_send_without_delay(server))
    yield
    if tuning:
        tuning.cancel()


async def _send_without_delay(server: uvicorn.Server) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    for listening in (listener for each in server.servers for listener in each.sockets):
        if listening.family in (socket.AF_INET, socket.AF_INET6):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit


if __name__ == "__main__":
    main()
else:
    with suppress(SettingsError):  # the page shows the error
        settings = current_settings()
        loading(settings.index, settings.checkpoint)  # while the first browser gets the page
    app = st.App(
        __file__,
        routes=[*media_routes(), frontend_route(), *api_routes()],
        middleware=[Middleware(RejectInvalidMediaUrls), Middleware(StartEarly, config=page_start)],
        lifespan=tune_server,
    )

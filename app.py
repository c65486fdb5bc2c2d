"""The app: the server with its own routes, and the navigation between the pages.

    streamlit run app.py

Streamlit imports this file once, to start the server, which also serves each GIF of the
library and each embedded frame at a URL of its own. Streamlit then runs it as a script for
every view of a page: the navigation.
"""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import streamlit as st
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from retrieval.api.library import library_routes
from retrieval.errors import BusyError, MediaError, RetrievalError, SettingsError, StoppedError
from retrieval.web import (
    GIF_ROUTE,
    LANGUAGES,
    STILL_ROUTE,
    Stills,
    check_frame,
    current_settings,
    find_file,
    loading,
)
from retrieval.web.frontend import FRONTEND, frontend_folder

CACHED = {"Cache-Control": "public, max-age=86400"}  # an id is the hash of the bytes
GUARDED = {  # a browser never runs a file that poses as media
    "X-Content-Type-Options": "nosniff",
    # A browser wraps a video opened by itself in a page of its own, which may load the video.
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; "
    "style-src 'unsafe-inline'; sandbox",
}
STOP_S = 2  # seconds for open responses when the server is stopped
STILLS = Stills()

_MEDIA_URL = re.compile(rf"{GIF_ROUTE}/\w+\.\w+|{STILL_ROUTE}/\w+/[0-9]{{1,9}}\.png", re.ASCII)


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


def serve_gif(request: Request) -> Response:
    """Return the GIF's bytes, for /gif/ID.gif."""
    try:
        file = find_file(current_settings().index, request.path_params["gif_id"])
    except (RetrievalError, OSError) as error:
        return refuse(error)
    return FileResponse(file.path, media_type=file.media_type, headers=CACHED | GUARDED)


async def serve_still(request: Request) -> Response:
    """Return one frame as PNG, for /still/ID/FRAME.png; a disconnect cancels the work."""
    try:
        path, frame = await run_in_threadpool(
            find_frame, request.path_params["gif_id"], request.path_params["frame"]
        )
        png = STILLS.cached(path, frame) or await _decode_still(request, path, frame)
    except (RetrievalError, OSError) as error:
        return refuse(error)
    return Response(png, media_type="image/png", headers=CACHED | GUARDED)


def find_frame(gif_id: str, frame: int) -> tuple[Path, int]:
    """The file of a GIF and the number of its embedded frame. MediaError if there is none."""
    index = current_settings().index
    file = find_file(index, gif_id)
    check_frame(index, gif_id, frame)
    return file.path, frame


async def _decode_still(request: Request, path: Path, frame: int) -> bytes:
    with STILLS.job(path, frame) as job:
        decoded = asyncio.wrap_future(job.future)
        # Retrieve the exception, or asyncio logs it when nobody awaits the result.
        decoded.add_done_callback(asyncio.Future.exception)
        while not (await asyncio.wait([decoded], timeout=0.2))[0]:
            if await request.is_disconnected():
                raise StoppedError
        return decoded.result()


def refuse(error: Exception) -> Response:
    """The response when there is no media to serve; it contains no path of this machine."""
    if isinstance(error, BusyError):
        headers = GUARDED | {"Retry-After": "5"}
        return PlainTextResponse(str(error), status_code=503, headers=headers)
    text = str(error) if isinstance(error, MediaError) else "This library is not open."
    return PlainTextResponse(text, status_code=404, headers=GUARDED)


class RejectInvalidMediaUrls:
    """Respond 404 to invalid URLs below our routes, where Streamlit would serve the page.

    Runs before Streamlit's own checks, which respond 400 to some of them.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_ours = scope["type"] == "http" and path.startswith((f"{GIF_ROUTE}/", f"{STILL_ROUTE}/"))
        if is_ours and not _MEDIA_URL.fullmatch(path):
            await refuse(MediaError("No GIF at this address."))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


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
            Route(f"{GIF_ROUTE}/{{gif_id}}.{{suffix}}", serve_gif),
            Route(f"{STILL_ROUTE}/{{gif_id}}/{{frame:int}}.png", serve_still),
            *library_routes(),
            Mount(f"/{frontend_folder()}", StaticFiles(directory=FRONTEND)),
        ],
        middleware=[Middleware(RejectInvalidMediaUrls)],
        lifespan=limit_shutdown,
    )

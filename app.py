"""The app: the server's own addresses, and the navigation between the pages.

    streamlit run app.py

Run as a script (by Streamlit, for every view of a page) it is the navigation; imported
(by Streamlit, once, to start) it is the server, which also gives out each GIF of the
library, and each of its frames, at an address of its own.
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
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from retrieval.errors import BusyError, MediaError, RetrievalError, SettingsError, StoppedError
from retrieval.web import (
    GIF_ROUTE,
    LANGUAGES,
    STILL_ROUTE,
    Settings,
    Stills,
    check_frame,
    find_file,
    loading,
)

KEPT = {"Cache-Control": "public, max-age=86400"}  # an id is a hash: its bytes never change
GUARDED = {  # a file that poses as media is never run as a page of ours
    "X-Content-Type-Options": "nosniff",
    # A browser shows a film that is opened by itself in a page around it, which may load it.
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; "
    "style-src 'unsafe-inline'; sandbox",
}
STOP_S = 2  # for answers that are under way when the server is ended
STILLS = Stills()

_ADDRESS = re.compile(rf"{GIF_ROUTE}/\w+\.\w+|{STILL_ROUTE}/\w+/\w+\.png", re.ASCII)
_NUMBER = re.compile("[0-9]{1,9}")


def main() -> None:
    from views.common import words  # its caches need the running server

    st.set_page_config(page_title="CLIP reaction search", page_icon="🎬", layout="wide")
    if "lang" not in st.session_state:
        asked = st.query_params.get("lang")
        st.session_state.lang = asked if asked in LANGUAGES else next(iter(LANGUAGES))
    pages = [
        st.Page("views/search.py", title=words("page_search"), icon=":material/search:"),
        st.Page("views/library.py", title=words("page_library"), icon=":material/grid_view:"),
        st.Page("views/about.py", title=words("page_about"), icon=":material/info:"),
    ]
    chosen = st.navigation(pages, position="top")
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.segmented_control(
            words("language"),
            list(LANGUAGES),
            required=True,
            format_func=LANGUAGES.__getitem__,
            key="lang",
            on_change=_keep_language,
            label_visibility="collapsed",
        )
    chosen.run()


def _keep_language() -> None:
    st.query_params["lang"] = st.session_state.lang


def give_gif(request: Request) -> Response:
    """The GIF's bytes, for /gif/ID.gif."""
    try:
        file = find_file(Settings.read().index, request.path_params["gif_id"])
    except (RetrievalError, OSError) as error:
        return refuse(error)
    return FileResponse(file.path, media_type=file.media_type, headers=KEPT | GUARDED)


async def give_still(request: Request) -> Response:
    """One frame as PNG, for /still/ID/FRAME.png; who leaves ends the work for it."""
    try:
        path, frame = await run_in_threadpool(
            find_frame, request.path_params["gif_id"], request.path_params["frame"]
        )
        png = STILLS.made(path, frame) or await _make_still(request, path, frame)
    except (RetrievalError, OSError) as error:
        return refuse(error)
    return Response(png, media_type="image/png", headers=KEPT | GUARDED)


def find_frame(gif_id: str, frame: str) -> tuple[Path, int]:
    """The file of a GIF and the number of one of its embedded frames; MediaError if none."""
    index = Settings.read().index
    file = find_file(index, gif_id)
    if not _NUMBER.fullmatch(frame):
        raise MediaError("No such frame.")
    check_frame(index, gif_id, int(frame))
    return file.path, int(frame)


async def _make_still(request: Request, path: Path, frame: int) -> bytes:
    with STILLS.job(path, frame) as job:
        made = asyncio.wrap_future(job.future)
        made.add_done_callback(asyncio.Future.exception)  # else asyncio logs what nobody reads
        while not (await asyncio.wait([made], timeout=0.2))[0]:
            if await request.is_disconnected():
                raise StoppedError
        return made.result()


def refuse(error: Exception) -> Response:
    """What is answered instead of media; no path of this machine is in it."""
    if isinstance(error, BusyError):
        headers = GUARDED | {"Retry-After": "5"}
        return PlainTextResponse(str(error), status_code=503, headers=headers)
    text = str(error) if isinstance(error, MediaError) else "This library is not open."
    return PlainTextResponse(text, status_code=404, headers=GUARDED)


class RefuseOtherAddresses:
    """Answer 404 at addresses below ours that are none; Streamlit would show the page there.

    It comes before Streamlit's own checks, which answer 400 to some.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_ours = scope["type"] == "http" and path.startswith((f"{GIF_ROUTE}/", f"{STILL_ROUTE}/"))
        if is_ours and not _ADDRESS.fullmatch(path):
            await refuse(MediaError("No GIF at this address."))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@asynccontextmanager
async def until_stopped(app: st.App) -> AsyncIterator[None]:
    """Have uvicorn wait no longer for answers that are under way than STOP_S when it ends.

    It would wait without end. Streamlit gives no way to set this, but the signal's handler is
    a method of the server that runs us.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(server, uvicorn.Server):
        server.config.timeout_graceful_shutdown = STOP_S
    yield


if __name__ == "__main__":
    main()
else:
    with suppress(SettingsError):  # the page says it
        begun = Settings.read()
        loading(begun.index, begun.checkpoint)  # while the first visitor's browser gets the page
    app = st.App(
        __file__,
        routes=[
            Route(f"{GIF_ROUTE}/{{gif_id}}.{{suffix}}", give_gif),
            Route(f"{STILL_ROUTE}/{{gif_id}}/{{frame}}.png", give_still),
        ],
        middleware=[Middleware(RefuseOtherAddresses)],
        lifespan=until_stopped,
    )

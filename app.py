"""The app: the server's own addresses, and the navigation between the pages.

    streamlit run app.py

Run as a script (by Streamlit, for every view of a page) it is the navigation; imported
(by Streamlit, once, to start) it is the server, which also gives out each GIF of the
library, and each of its frames, at an address of its own.
"""

from contextlib import suppress

import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from retrieval.errors import RetrievalError, SettingsError
from retrieval.loading import loading
from retrieval.serving import GIF_ROUTE, STILL_ROUTE, find_file, still_png
from retrieval.settings import Settings
from retrieval.words import LANGUAGES

KEPT = {"Cache-Control": "public, max-age=86400"}  # an id is a hash: its bytes never change


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
        path, media_type = find_file(Settings.read().index, request.path_params["gif_id"])
    except (RetrievalError, OSError) as error:
        return PlainTextResponse(str(error), status_code=404)
    return FileResponse(path, media_type=media_type, headers=KEPT)


def give_still(request: Request) -> Response:
    """One frame as PNG, for /still/ID/FRAME.png."""
    try:
        path, _ = find_file(Settings.read().index, request.path_params["gif_id"])
        png = still_png(path, request.path_params["frame"])
    except (RetrievalError, OSError) as error:
        return PlainTextResponse(str(error), status_code=404)
    return Response(png, media_type="image/png", headers=KEPT)


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
            Route(f"{STILL_ROUTE}/{{gif_id}}/{{frame:int}}.png", give_still),
        ],
    )

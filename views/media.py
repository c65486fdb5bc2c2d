"""Where a browser gets a GIF or one of its frames: a URL of this server, or the bytes."""

from html import escape
from urllib.parse import urlsplit

import streamlit as st

from retrieval.errors import MediaError, RetrievalError
from retrieval.library import Bundle, Record, is_web_address
from retrieval.media import PictureText
from retrieval.search import Searcher
from retrieval.web import (
    GIF_ROUTE,
    STILL_ROUTE,
    MediaFile,
    Uploads,
    media_file,
    png_of,
    still_url,
)
from views.common import while_watched

WORDS_WIDTH = 240  # pixels


def media_of(record: Record, searcher: Searcher) -> MediaFile | None:
    """The record's file; None if there is none that may be served."""
    bundle = searcher.collection
    if not isinstance(bundle, Bundle):
        return None
    try:
        return media_file(bundle.path, record, pulled=bundle.origin is not None)
    except (MediaError, OSError):
        return None


def gif_address(record: Record, searcher: Searcher) -> str | None:
    """The GIF's URL, or its path where no server runs (AppTest); None if it cannot be shown."""
    if is_web_address(record.uri):
        return record.uri
    file = media_of(record, searcher)
    if file is None:
        return None
    origin = _server_origin()
    return f"{origin}{GIF_ROUTE}/{record.id}{file.suffix}" if origin else str(file.path)


def still_image(
    record: Record, frame: int, searcher: Searcher, width: int = 200
) -> bytes | str | None:
    """One frame for `st.image`: a URL or bytes; None if it cannot be shown.

    `width`: of the picture at a URL, one of WIDTHS. A GIF on the web is not decoded here: its own
    URL.
    """
    collection = searcher.collection
    try:
        if isinstance(collection, Uploads):
            place = st.empty()
            return while_watched(lambda stop: collection.still(record, frame, stop), place.empty)
        file = media_of(record, searcher)
        if file is None or is_web_address(record.uri):
            return gif_address(record, searcher)
        origin = _server_origin()
        if origin:
            return origin + still_url(record.id, frame, width)
        return png_of(file.path, frame)
    except RetrievalError:
        return None


def render_words(record: Record, words: PictureText, searcher: Searcher) -> None:
    """Render the frame in which words were read, with a box around them."""
    image = still_image(record, words.frame, searcher, width=480)
    with st.container(width=WORDS_WIDTH):
        if not isinstance(image, str) or STILL_ROUTE not in image:
            render_image(image, words.text)
            return
        left, top, right, bottom = (100 * min(max(edge, 0.0), 1.0) for edge in words.box)
        # The box lies over the picture: nothing has to be decoded and drawn on here.
        st.html(
            f'<div style="position: relative">'
            f'<img src="{escape(image)}" alt="{escape(words.text)}" style="width: 100%">'
            f'<div style="position: absolute; left: {left:.1f}%; top: {top:.1f}%; '
            f"width: {right - left:.1f}%; height: {bottom - top:.1f}%; "
            f'outline: 3px solid #ff2b2b; outline-offset: 2px"></div></div>'
        )


def render_image(image: bytes | str | None, alt: str) -> None:
    """Render a picture, or its text if there is none."""
    if image is None:
        st.text(alt)
    else:
        st.image(image, alt=alt, width="stretch")


def uploaded_bytes(record: Record, searcher: Searcher) -> bytes | None:
    """The bytes of an uploaded file; None for a GIF of the library."""
    collection = searcher.collection
    return collection.data[record.id] if isinstance(collection, Uploads) else None


def _server_origin() -> str | None:
    url = urlsplit(st.context.url or "")
    return f"{url.scheme}://{url.netloc}" if url.netloc else None

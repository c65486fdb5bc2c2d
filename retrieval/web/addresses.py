"""URLs of media on this server; what is at one never changes, as an id is the hash of the bytes."""

from __future__ import annotations

import re

from retrieval.renditions import check_width

GIF_ROUTE = "/gif"  # /gif/ID.gif: the file itself
RENDITION_ROUTE = "/rendition"  # /rendition/ID/WIDTH.FORM: a small animation
STILL_ROUTE = "/still"  # /still/ID/FRAME/WIDTH.webp: one embedded frame

_MEDIA_URL = re.compile(
    rf"{GIF_ROUTE}/\w+\.\w+"
    rf"|{RENDITION_ROUTE}/\w+/[0-9]{{1,9}}\.webp"
    rf"|{STILL_ROUTE}/\w+/[0-9]{{1,9}}/[0-9]{{1,9}}\.webp",
    re.ASCII,
)


def rendition_url(gif_id: str, width: int, form: str = "webp") -> str:
    """The path of a GIF's animation that is at most `width` pixels wide, one of WIDTHS.

    `form` is "webp", "gif" or "mp4".

    >>> rendition_url("0123", 200)
    '/rendition/0123/200.webp'
    """
    check_width(width)
    return f"{RENDITION_ROUTE}/{gif_id}/{width}.{form}"


def still_url(gif_id: str, frame: int, width: int) -> str:
    """The path of an embedded frame that is at most `width` pixels wide, one of WIDTHS.

    >>> still_url("0123", 7, 100)
    '/still/0123/7/100.webp'
    """
    check_width(width)
    return f"{STILL_ROUTE}/{gif_id}/{frame}/{width}.webp"


def is_media_url(path: str) -> bool:
    """Whether a path has the form of one of ours."""
    return _MEDIA_URL.fullmatch(path) is not None


def is_below_media(path: str) -> bool:
    """Whether a path is below one of these routes, of whatever form."""
    return path.startswith((f"{GIF_ROUTE}/", f"{RENDITION_ROUTE}/", f"{STILL_ROUTE}/"))

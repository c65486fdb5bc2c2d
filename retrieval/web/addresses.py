"""URLs of media on this server. What is at one never changes: an id is the hash of the bytes.

Renditions end in `?v=` and the version of the renderer, which the routes ignore: browsers keep
them for a year, and would show those of an older one for as long.
"""

from __future__ import annotations

import re

from retrieval.renditions import VERSION, check_format, check_width

GIF_ROUTE = "/gif"  # /gif/ID.gif: the file itself
RENDITION_ROUTE = "/rendition"  # /rendition/ID/WIDTH.FORMAT: a small animation
STILL_ROUTE = "/still"  # /still/ID/FRAME/WIDTH.webp: one embedded frame

_MEDIA_URL = re.compile(
    rf"{GIF_ROUTE}/\w+\.\w+"
    rf"|{RENDITION_ROUTE}/\w+/[0-9]{{1,9}}\.[a-z0-9]{{1,9}}"
    rf"|{STILL_ROUTE}/\w+/[0-9]{{1,9}}/[0-9]{{1,9}}\.webp",
    re.ASCII,
)


def rendition_url(gif_id: str, width: int, format: str = "webp") -> str:
    """The URL of a GIF's animation that is at most `width` pixels wide; of WIDTHS, of FORMATS.

    >>> rendition_url("0123", 200, "mp4").partition("?")[0]
    '/rendition/0123/200.mp4'
    """
    check_width(width)
    check_format(format)
    return f"{RENDITION_ROUTE}/{gif_id}/{width}.{format}?v={VERSION}"


def still_url(gif_id: str, frame: int, width: int) -> str:
    """The URL of an embedded frame that is at most `width` pixels wide, one of WIDTHS.

    >>> still_url("0123", 7, 100).partition("?")[0]
    '/still/0123/7/100.webp'
    """
    check_width(width)
    return f"{STILL_ROUTE}/{gif_id}/{frame}/{width}.webp?v={VERSION}"


def is_media_url(path: str) -> bool:
    """Whether a path has the form of one of ours."""
    return _MEDIA_URL.fullmatch(path) is not None


def is_below_media(path: str) -> bool:
    """Whether a path is below one of these routes, of whatever form."""
    return path.startswith((f"{GIF_ROUTE}/", f"{RENDITION_ROUTE}/", f"{STILL_ROUTE}/"))

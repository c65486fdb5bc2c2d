"""Answer a request for a part of bytes in memory (RFC 9110, 14): a player seeks in a film.

Files need none of this: Starlette's FileResponse does it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

# One range. A server may answer several with the whole, and players ask for one.
_RANGE = re.compile(r"bytes\s*=\s*(?P<first>\d{0,15})\s*-\s*(?P<last>\d{0,15})", re.IGNORECASE)


def bytes_response(
    request: Request, content: bytes, media_type: str, headers: Mapping[str, str]
) -> Response:
    """The content, or the part that is asked for: 206, or 416 if there is no such part.

    `headers` have the ETag. If-Range with another one means: the whole.
    """
    headers = {**headers, "Accept-Ranges": "bytes"}
    asked = request.headers.get("range", "") if request.method == "GET" else ""
    if request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        asked = ""
    part = parse_range(asked, len(content))
    if part is None:
        return Response(content, media_type=media_type, headers=headers)
    if not part:
        headers["Content-Range"] = f"bytes */{len(content)}"
        return Response(status_code=416, headers=headers)
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
    part_of = content[part.start : part.stop]
    return Response(part_of, status_code=206, media_type=media_type, headers=headers)


def parse_range(header: str, size: int) -> range | None:
    """The bytes that a Range header asks for; None for all, an empty range if there are none.

    >>> parse_range("bytes=2-5", 10), parse_range("bytes=-3", 10), parse_range("bytes=8-99", 10)
    (range(2, 6), range(7, 10), range(8, 10))
    >>> parse_range("bytes=10-", 10), parse_range("bytes=1-2,5-6", 10), parse_range("", 10)
    (range(10, 10), None, None)
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or match["first"] == match["last"] == "":
        return None
    if not match["first"]:  # the last so many bytes
        return range(max(0, size - int(match["last"])), size)
    first = int(match["first"])
    last = int(match["last"]) if match["last"] else size - 1
    if match["last"] and last < first:
        return None  # an invalid header is no header
    return range(min(first, size), min(last + 1, size))

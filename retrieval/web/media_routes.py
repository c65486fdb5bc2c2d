"""The server's routes for media: originals, renditions and stills. No answer has a path in it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from io import FileIO
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from retrieval.errors import (
    BusyError,
    MediaError,
    RetrievalError,
    StoppedError,
    UnavailableError,
)
from retrieval.media import media_suffix
from retrieval.renditions import FORMATS, VERSION, WIDTHS, RenditionStore
from retrieval.web.addresses import (
    GIF_ROUTE,
    RENDITION_ROUTE,
    STILL_ROUTE,
    is_below_media,
    is_media_url,
)
from retrieval.web.ranges import bytes_response
from retrieval.web.renditions import Renditions
from retrieval.web.routes import (
    MediaFile,
    check_frame,
    find_file,
    media_type_of,
    open_checked,
)
from retrieval.web.settings import current_settings
from retrieval.web.turns import Job, server_sandbox

CACHED = {"Cache-Control": "public, max-age=31536000, immutable"}  # an id is a hash of the bytes
GUARDED = {  # a browser never runs a file that poses as media
    "X-Content-Type-Options": "nosniff",
    # A browser wraps a video opened by itself in a page of its own, which may load the video.
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; "
    "style-src 'unsafe-inline'; sandbox",
}


def media_routes() -> list[Route]:
    """The routes, for GET and HEAD."""
    return [
        Route(f"{GIF_ROUTE}/{{gif_id}}.{{suffix}}", serve_gif),
        Route(f"{RENDITION_ROUTE}/{{gif_id}}/{{width:int}}.{{format}}", serve_rendition),
        Route(f"{STILL_ROUTE}/{{gif_id}}/{{frame:int}}/{{width:int}}.webp", serve_still),
    ]


@cache
def current_renditions() -> Renditions:
    """The renditions of this process, in the cache folder of its settings."""
    settings = current_settings()
    store = RenditionStore(settings.cache, settings.cache_mb * 1_000_000, server_sandbox())
    return Renditions(store)


def serve_gif(request: Request) -> Response:
    """The GIF's bytes or a range of them, for /gif/ID.gif."""
    try:
        file = find_file(current_settings().index, request.path_params["gif_id"])
        etag = f'"{file.modified_ns:x}-{file.size_bytes:x}"'
        if _is_known(request, etag):
            return _not_modified(etag)
        opened = open_checked(file)
    except (RetrievalError, OSError) as error:
        return refuse(error)
    return OpenedFileResponse(file, opened, CACHED | GUARDED | {"ETag": etag})


class OpenedFileResponse(FileResponse):
    """The content of a file that was opened and checked, also if its name is another's by now."""

    def __init__(self, file: MediaFile, opened: FileIO, headers: Mapping[str, str]):
        self._opened = opened
        again = Path(f"/proc/self/fd/{opened.fileno()}")  # of Linux; elsewhere by its name
        path = again if again.exists() else file.path
        facts = os.fstat(opened.fileno())
        super().__init__(path, 200, headers, file.media_type, stat_result=facts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._opened.close()


async def serve_rendition(request: Request) -> Response:
    """The GIF at most WIDTH pixels wide, for /rendition/ID/WIDTH.FORMAT, or a range of its bytes.

    In that format, or the GIF itself where that is small. A disconnect cancels the work.
    """
    gif_id, width = request.path_params["gif_id"], request.path_params["width"]
    format = request.path_params["format"]

    def find() -> tuple[MediaFile, bytes | None]:
        _check_width(width)
        _check_format(format)
        file = find_file(current_settings().index, gif_id)
        return file, current_renditions().store.cached_animation(gif_id, width, format)

    try:
        file, rendition = await run_in_threadpool(find)
        etag = f'"{gif_id[:32]}-{width}-{format}-v{VERSION}"'
        if _is_known(request, etag):
            return _not_modified(etag)
        if rendition is None:
            job = current_renditions().animation(
                gif_id, file.path, width, format, sha256=file.sha256
            )
            rendition = await _result(request, job)
    except (RetrievalError, OSError) as error:
        return refuse(error)
    return _picture(request, rendition, etag)


async def serve_still(request: Request) -> Response:
    """An embedded frame, for /still/ID/FRAME/WIDTH.webp; a disconnect cancels the work."""
    gif_id, frame = request.path_params["gif_id"], request.path_params["frame"]
    width = request.path_params["width"]

    def find() -> tuple[MediaFile, bytes | None]:
        _check_width(width)
        index = current_settings().index
        file = find_file(index, gif_id)
        check_frame(index, gif_id, frame)
        return file, current_renditions().store.cached_still(gif_id, frame, width)

    try:
        file, still = await run_in_threadpool(find)
        etag = f'"{gif_id[:32]}-{frame}-{width}-v{VERSION}"'
        if _is_known(request, etag):
            return _not_modified(etag)
        if still is None:
            job = current_renditions().still(gif_id, file.path, frame, width, sha256=file.sha256)
            still = await _result(request, job)
    except (RetrievalError, OSError) as error:
        return refuse(error)
    return _picture(request, still, etag)


async def _result(request: Request, shared: AbstractContextManager[Job[bytes]]) -> bytes:
    with shared as job:
        rendered = asyncio.wrap_future(job.future)
        # Retrieve the exception, or asyncio logs it when nobody awaits the result.
        rendered.add_done_callback(asyncio.Future.exception)
        while not (await asyncio.wait([rendered], timeout=0.2))[0]:
            if await request.is_disconnected():
                raise StoppedError
        try:
            return rendered.result()
        except MediaError as error:
            gif_id = request.path_params["gif_id"][:12]
            if isinstance(error, UnavailableError):
                raise MediaError(f"No rendition of GIF {gif_id}: {error}.") from error
            raise MediaError(f"GIF {gif_id} cannot be decoded: {error}.") from error


def _check_width(width: int) -> None:
    if width not in WIDTHS:
        *others, last = WIDTHS
        expected = f"{', '.join(map(str, others))} or {last}"
        raise MediaError(f"No rendition is {width} pixels wide; expected {expected}.")


def _check_format(format: str) -> None:
    if format not in FORMATS:
        *others, last = FORMATS
        raise MediaError(f"No rendition is a .{format}; expected {', '.join(others)} or {last}.")


def _is_known(request: Request, etag: str) -> bool:
    """Whether the browser has this version (If-None-Match, RFC 9110, 13.1.2)."""
    known = [tag.strip().removeprefix("W/") for tag in
             request.headers.get("if-none-match", "").split(",")]  # fmt: skip
    return etag in known or "*" in known


def _not_modified(etag: str) -> Response:
    return Response(status_code=304, headers=CACHED | GUARDED | {"ETag": etag})


def _picture(request: Request, data: bytes, etag: str) -> Response:
    media_type = media_type_of(media_suffix(data))
    return bytes_response(request, data, media_type, CACHED | GUARDED | {"ETag": etag})


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
        if scope["type"] == "http" and is_below_media(path) and not is_media_url(path):
            await refuse(MediaError("No GIF at this address."))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

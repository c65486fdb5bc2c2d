"""The page's JavaScript: where a browser gets it, and the part that starts before Streamlit.

The modules in frontend/ are served below an address that contains the hash of them all, so that
a browser may keep them for good. `StartEarly` writes a few lines into the HTML of the pages.
Of all: their style, as pages that get it from Streamlit move while they start (layout shift
0.9 of About, 0.3 of the search page). Of the search page: the picker, which is then on the screen
while Streamlit still starts, which takes a second and more, and moves into its place among
Streamlit's elements afterwards.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.paths import ROOT
from retrieval.web.modules import join_modules
from retrieval.web.policy import current_policy

FRONTEND = ROOT / "frontend"
FRONTEND_ROUTE = "/frontend"
PAGE_STYLE = ROOT / "views" / "page.css"
PAGES = re.compile(r"/?\w*")  # paths that may be a page's
EARLY_PAGES = ("/", "")  # the search page
REWRITTEN = (b"content-length", b"etag", b"last-modified")  # headers of Streamlit's own HTML
GZIP_LEVEL = 4
PRELOADED = 12  # pictures of the first answer that a browser fetches before all else


@cache
def frontend_version() -> str:
    """The hash of all files in frontend/, 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(FRONTEND.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def frontend_folder() -> str:
    """Where the modules are, relative to the page's root."""
    return f"{FRONTEND_ROUTE[1:]}/{frontend_version()}"


@cache
def frontend_module(entry: str) -> str:
    """A module with all that it imports. ValueError unless it is one of frontend/."""
    known = sorted(path.stem for path in FRONTEND.glob("*.js"))
    if entry not in known:
        raise ValueError(f"No module {entry[:40]!r}; expected one of {', '.join(known)}.")
    return join_modules(FRONTEND, entry)


def frontend_route() -> Route:
    """The route of the modules, /frontend/VERSION/MODULE.js, each with what it imports."""
    return Route(f"{FRONTEND_ROUTE}/{frontend_version()}/{{entry}}.js", serve_module)


def serve_module(request: Request) -> Response:
    """A page's module; 404 if there is none of this name."""
    try:
        source = frontend_module(request.path_params["entry"])
    except ValueError as error:
        return PlainTextResponse(str(error), status_code=404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}  # the address has the hash
    return Response(source, media_type="text/javascript", headers=headers)


@cache
def _style() -> str:
    return f"<style>{PAGE_STYLE.read_text(encoding='utf-8')}</style>"


def as_script(value: object) -> str:
    """JSON that can stand inside of a <script> element.

    >>> as_script({"title": "</script>"})
    '{"title": "\\\\u003c/script>"}'
    """
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


class StartEarly:
    """Adds style and a policy to the HTML of all pages, the picker to that of the search page."""

    def __init__(self, app: ASGIApp, config: Callable[[str], Mapping[str, Any]]):
        """`config` returns the page's configuration for the query string of its address.

        Its `first["answer"]["gifs"]`, if it has a first answer, name pictures to fetch early.
        """
        self._app, self._config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or scope["method"] != "GET" or not PAGES.fullmatch(path):
            await self._app(scope, receive, send)
            return
        head = _style()
        if path in EARLY_PAGES:
            query = scope["query_string"].decode("latin-1")
            head = await run_in_threadpool(self._head, query) + head
        accepts_gzip = b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b"")
        # Streamlit's own answer has to be whole and not compressed to be written into.
        headers = [h for h in scope["headers"] if h[0] not in (b"accept-encoding", b"range")]
        scope = {**scope, "headers": headers}
        start: Message = {}
        is_html = False
        body = b""

        async def add(message: Message) -> None:
            nonlocal start, body, is_html
            if message["type"] == "http.response.start":
                start = message
                is_html = any(
                    name.lower() == b"content-type" and value.startswith(b"text/html")
                    for name, value in message["headers"]
                )
                if is_html:
                    return
            if not is_html:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            content = body.replace(b"<head>", b"<head>" + head.encode(), 1)
            policy = current_policy(content)
            kept = [h for h in start["headers"] if h[0].lower() not in REWRITTEN]
            if accepts_gzip:
                content = gzip.compress(content, GZIP_LEVEL)
                kept += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
            kept.append((b"content-security-policy", policy.encode()))
            start["headers"] = [*kept, (b"content-length", str(len(content)).encode())]
            await send(start)
            await send({"type": "http.response.body", "body": content})

        await self._app(scope, receive, add)

    def _head(self, query_string: str) -> str:
        config = self._config(query_string)
        module = f"{frontend_folder()}/search.js"
        first = config.get("first")
        pictures = [gif["preview"] for gif in first["answer"]["gifs"]] if first else []
        preloads = "".join(
            '<link rel="preload" as="image" fetchpriority="high"'
            # Who asks for less motion gets stills instead.
            f' media="(prefers-reduced-motion: no-preference)" href="{escape(picture)}">'
            for picture in pictures[:PRELOADED]
            if picture
        )
        return (
            '<meta charset="UTF-8">'
            # Without async it would run after Streamlit's modules, which come later in the page.
            f'<script type="module" async fetchpriority="high" src="{module}"></script>{preloads}'
            f'<script type="application/json" id="reaction-config">{as_script(config)}</script>'
        )

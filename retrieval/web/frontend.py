"""The page's JavaScript: where a browser gets it, and the part that starts before Streamlit.

The modules in frontend/ are served as they are, below an address that contains the hash of
them all, so that a browser may keep them for good. `StartEarly` writes a few lines into the
HTML of the search page: the picker is then on the screen while Streamlit still starts, which
takes a second and more, and moves into its place among Streamlit's elements afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.paths import ROOT

FRONTEND = ROOT / "frontend"
FRONTEND_ROUTE = "/frontend"
EARLY_PAGES = ("/", "")  # the search page


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


def as_script(value: object) -> str:
    """JSON that can stand inside of a <script> element.

    >>> as_script({"title": "</script>"})
    '{"title": "\\\\u003c/script>"}'
    """
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


class StartEarly:
    """Adds the picker's configuration and first module to the HTML of the search page."""

    def __init__(self, app: ASGIApp, config: Callable[[str], Mapping[str, object]]):
        """`config` returns the page's configuration in a language ("" for the default)."""
        self._app, self._config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and scope["path"].removeprefix(scope.get("root_path", "")) in EARLY_PAGES
        )
        if not is_page:
            await self._app(scope, receive, send)
            return
        (language,) = parse_qs(scope["query_string"].decode("latin-1")).get("lang", [""])[:1]
        # Streamlit's own answer has to be whole and not compressed to be written into.
        headers = [h for h in scope["headers"] if h[0] not in (b"accept-encoding", b"range")]
        scope = {**scope, "headers": headers}
        start: Message = {}
        body = b""

        async def add(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            content = body.replace(b"</head>", self._head(language).encode() + b"</head>", 1)
            kept = [
                (name, value)
                for name, value in start["headers"]
                if name.lower() not in (b"content-length", b"etag", b"last-modified")
            ]
            start["headers"] = [*kept, (b"content-length", str(len(content)).encode())]
            await send(start)
            await send({"type": "http.response.body", "body": content})

        await self._app(scope, receive, add)

    def _head(self, language: str) -> str:
        folder = frontend_folder()
        modules = sorted(path.name for path in FRONTEND.glob("*.js"))
        preloads = "".join(f'<link rel="modulepreload" href="{folder}/{name}">' for name in modules)
        return (
            f'<script type="application/json" id="reaction-config">'
            f"{as_script(self._config(language))}</script>"
            f'{preloads}<script type="module" src="{folder}/early.js"></script>'
        )

"""CORS: which web pages on other origins may read the API's answers.

By default those that are served on this machine, and only while the server is asked on a loopback
address. Credentials are never allowed, so that the page's cookie is of no use to other pages.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from retrieval.api.access import READ_BY_PAGES, local_path
from retrieval.errors import SettingsError
from retrieval.web import current_settings

LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
METHODS = ("GET", "HEAD", "POST", "DELETE")
SENT = ("Authorization", "X-API-Key", "Content-Type")
READ = ("RateLimit", "RateLimit-Policy", "Retry-After", "ETag")


class CrossOrigin:
    """Adds CORS headers to the API and to media, and answers preflight requests."""

    def __init__(self, app: ASGIApp):
        self._app = app
        self._configured: tuple[tuple[str, ...] | None, ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and local_path(scope).startswith(READ_BY_PAGES):
            with suppress(SettingsError):  # the operation says what is wrong
                app = self._for(current_settings().cors, scope)
        await app(scope, receive, send)

    def _for(self, origins: tuple[str, ...] | None, scope: Scope) -> ASGIApp:
        if origins is None and not is_loopback(scope):
            return self._app
        if self._configured is None or self._configured[0] != origins:
            with_cors = CORSMiddleware(
                self._app,
                allow_origins=origins or (),
                allow_origin_regex=LOOPBACK if origins is None else None,
                allow_methods=METHODS,
                allow_headers=SENT,
                expose_headers=READ,
            )
            self._configured = origins, with_cors
        return self._configured[1]


def is_loopback(scope: Scope) -> bool:
    """Whether the request came in on a loopback address of this machine."""
    host, _ = scope.get("server") or ("", None)
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False

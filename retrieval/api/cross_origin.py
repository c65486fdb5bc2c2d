"""Which web pages on other origins may read the API's answers (CORS), and send it anything.

By default those that are served on this machine, and only while the server is asked on a loopback
address. Credentials are never allowed, so that the page's cookie is of no use to other pages.

CORS alone keeps a page from reading, not from sending: a form or a plain POST goes out before a
browser asks anything. So what changes something, such as a vote or a picture, is refused to pages
that may not read either. A browser says of each such request where it comes from (Origin), which a
page cannot change; programs that are no browsers say nothing, and are nobody's visitors.
"""

from __future__ import annotations

import re
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from retrieval.api.access import OPERATIONS, READ_BY_PAGES, local_path
from retrieval.api.hosts import is_loopback
from retrieval.api.problems import ProblemError, problem_response
from retrieval.errors import SettingsError
from retrieval.web import current_settings

LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
METHODS = ("GET", "HEAD", "POST", "DELETE")
SENT = ("Authorization", "X-API-Key", "Content-Type")
SAFE = ("GET", "HEAD", "OPTIONS")  # methods that change nothing, RFC 9110, 9.2.1
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
                if _is_foreign(scope):
                    await problem_response(FOREIGN)(scope, receive, send)
                    return
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


FOREIGN = ProblemError(
    HTTPStatus.FORBIDDEN,
    "A web page on another origin sent this; expected the page of this server, or one of an origin "
    "that REACTION_CORS lists.",
    "origin",
)


def _is_foreign(scope: Scope) -> bool:
    """Whether a page of another origin, which may not read the answer, wants to change something.

    Behind a proxy that renames the host, "same-origin" and REACTION_PUBLIC_URL tell.
    """
    if scope["method"] in SAFE or not local_path(scope).startswith(OPERATIONS):
        return False
    headers, settings = Headers(scope=scope), current_settings()
    origin, site = headers.get("origin", ""), headers.get("sec-fetch-site", "")
    if site == "same-origin":
        return False
    if not origin:
        return site in ("same-site", "cross-site")
    own = {headers.get("host", ""), urlsplit(settings.public_url).netloc}
    if urlsplit(origin).netloc in own - {""}:
        return False
    if settings.cors is None:
        return not (is_loopback(scope) and re.fullmatch(LOOPBACK, origin))
    return origin not in settings.cors and "*" not in settings.cors

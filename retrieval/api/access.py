"""Who may ask the API how often, as an ASGI middleware: keys, rate limit, length of an address.

Keys guard the operations of the API, not the page, and not media: a chat shows a GIF by its
address alone. The page has no key: with REACTION_API_KEYS=required it gets a cookie with its HTML,
signed by this process. A program that loads the page first has the cookie too, and can do what a
visitor can; keys keep out programs that only know the API's address. Headers such as
Sec-Fetch-Site would prove nothing: any program may send them.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.api.keys import KeyRing
from retrieval.api.limits import RateLimits, client_of
from retrieval.api.problems import ProblemError, problem_response
from retrieval.api.unknown import NOTHING
from retrieval.errors import RetrievalError
from retrieval.web import Settings, current_settings

GUARDED = ("/api/v1/", "/v1/", "/v2/", "/metrics")
# What a monitor or a reader needs before there is a key.
OPEN = frozenset({f"/api/v1/{name}" for name in ("health", "ready", "openapi.json", "docs")})
OPERATIONS = (*GUARDED, "/integrations/")
READ_BY_PAGES = (*OPERATIONS, "/gif/", "/rendition/", "/still/")  # with CORS
MAX_PATH_BYTES, MAX_QUERY_BYTES = 2_000, 16_000
UNSAFE = ("..", "\\", "\0")  # in a path: Streamlit would answer without a sentence
COOKIE = "reaction_page"
COOKIE_S = 7 * 86_400
_secret = secrets.token_bytes(32)  # of this process


def local_path(scope: Scope) -> str:
    """The path of a request below the server's root."""
    path: str = scope.get("path", "")
    return path.removeprefix(scope.get("root_path", ""))


class GuardAccess:
    """Checks a request before its operation sees it, and tells what is left of a rate limit."""

    def __init__(self, app: ASGIApp, refusals: Mapping[str, Callable[[Exception], Response]]):
        """`refusals`: beginnings of paths below which errors have a form of their own."""
        self._app, self._refusals = app, refusals

    def _refusal(self, error: Exception, path: str) -> Response:
        for start, refusal in self._refusals.items():
            if path.startswith(start):
                return refusal(error)
        return problem_response(error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = local_path(scope)
        try:
            headers = _check(scope, path)
        except (ProblemError, RetrievalError) as error:
            await self._refusal(error, path)(scope, receive, send)
            return

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in headers.items():
                    answered[name] = value
                if answered.get("content-type", "").startswith("text/html") and _wants_keys():
                    answered.append("Set-Cookie", _cookie(secure=scope["scheme"] == "https"))
            await send(message)

        await self._app(scope, receive, add)


def _check(scope: Scope, path: str) -> Mapping[str, str]:
    """Headers of the answer; ProblemError if there is to be none."""
    if path.startswith(OPERATIONS):  # media have addresses of one form, and say 404 to others
        _check_length(scope)
        if any(sign in path for sign in UNSAFE):
            raise ProblemError(HTTPStatus.NOT_FOUND, NOTHING)
    if not path.startswith(GUARDED) or path in OPEN:
        return {}
    settings = current_settings()
    if settings.api_keys == "off" and not settings.rate_limit:
        return {}
    ring, limits = _guards(settings)
    name = refused = None
    headers = Headers(scope=scope)
    if settings.api_keys != "off":
        key = key_of(headers, QueryParams(scope["query_string"]))
        name = ring.name_of(key) if key else None
        if key and name is None:
            refused = "The API key is not known here. It may have been revoked."
        elif settings.api_keys == "required" and not key and not _is_page(headers):
            refused = (
                "This server asks for an API key; send it as Authorization: Bearer KEY. On a page "
                "that was open for long: reload it."
            )
    told: Mapping[str, str] = {}
    if limits:
        host, _ = scope.get("client") or ("", 0)
        state = limits.hit(f"address {client_of(host)}" if name is None else f"key {name}")
        state.check()
        told = state.headers
    if refused:
        authenticate = {"WWW-Authenticate": "Bearer", **told}
        raise ProblemError(HTTPStatus.UNAUTHORIZED, refused, "api_key", headers=authenticate)
    return told


def _check_length(scope: Scope) -> None:
    path, query = len(scope.get("raw_path") or b""), len(scope["query_string"])
    if path > MAX_PATH_BYTES or query > MAX_QUERY_BYTES:
        detail = (
            f"The address has {path + query:,} characters; expected at most {MAX_PATH_BYTES:,}, "
            f"and {MAX_QUERY_BYTES:,} of parameters."
        )
        raise ProblemError(HTTPStatus.REQUEST_URI_TOO_LONG, detail, "too_long")


def key_of(headers: Headers, parameters: QueryParams) -> str:
    """The key that a request carries, "" if none: as ours, as GIPHY's or as Tenor's clients do."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return (
        headers.get("x-api-key", "") or parameters.get("api_key", "") or parameters.get("key", "")
    )


@lru_cache(maxsize=1)
def _guards(settings: Settings) -> tuple[KeyRing, RateLimits | None]:
    return KeyRing(settings.data), RateLimits(settings.rate_limit) if settings.rate_limit else None


def _wants_keys() -> bool:
    try:
        return current_settings().api_keys == "required"
    except RetrievalError:
        return False  # the page shows the error


def _cookie(*, secure: bool) -> str:
    until = f"{int(time.time()) + COOKIE_S}"
    cookie = f"{COOKIE}={until}.{_signature(until)}; Path=/; Max-Age={COOKIE_S}; HttpOnly"
    return f"{cookie}; SameSite=Strict{'; Secure' if secure else ''}"


def _is_page(headers: Headers) -> bool:
    """Whether a request has the cookie of a page that this process sent."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return False
    until, _, signature = (morsel.value if morsel else "").partition(".")
    if not until.isascii() or not until.isdecimal() or len(until) > 12:
        return False
    genuine = hmac.compare_digest(signature.encode(), _signature(until).encode())
    return genuine and int(until) > time.time()


def _signature(until: str) -> str:
    return hmac.new(_secret, until.encode(), "sha256").hexdigest()

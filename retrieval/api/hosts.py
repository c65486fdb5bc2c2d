"""Which names this server answers to, as an ASGI middleware.

A web page can let its own name lead to 127.0.0.1 (DNS rebinding); to the browser, a server there is
then a part of that page, which may read all its answers. So a request that comes in on a loopback
address has to name this machine: localhost, a number, or a name of the settings. Requests from
elsewhere may name anything, unless REACTION_HOSTS lists the names: a proxy or a container passes on
names that this server cannot know.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from retrieval.api.problems import ProblemError, problem_response
from retrieval.errors import SettingsError
from retrieval.web import Settings, current_settings

POLICY_VIOLATION = 1008  # a WebSocket's close code, RFC 6455, 7.4.1


class CheckHost:
    """Refuses requests and WebSockets that name another host, with 421 Misdirected Request."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or _is_allowed(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await problem_response(_misdirected(scope))(scope, receive, send)


def is_loopback(scope: Scope) -> bool:
    """Whether the request came in on a loopback address of this machine."""
    host, _ = scope.get("server") or ("", None)
    with suppress(ValueError):
        ip = ipaddress.ip_address(host)
        # A socket for both kinds of addresses names those of IPv4 ::ffff:127.0.0.1.
        return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback
    return False


def host_name(netloc: str) -> str:
    """The name in a Host header or an origin, in lower case, without its port.

    >>> host_name("Cats.example:8501"), host_name("[::1]:80"), host_name("localhost.")
    ('cats.example', '::1', 'localhost')
    """
    with suppress(ValueError):
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    return ""


def _is_allowed(scope: Scope) -> bool:
    settings = Settings()
    with suppress(SettingsError):  # the page shows the error
        settings = current_settings()
    if not settings.hosts and not is_loopback(scope):
        return True
    name = host_name(Headers(scope=scope).get("host", ""))
    if not name or name == "localhost" or name.endswith(".localhost"):
        return True  # without a name: HTTP/1.0, which no browser speaks
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    public = host_name(urlsplit(settings.public_url).netloc)
    return name == public or any(_fits(name, known) for known in settings.hosts)


def _fits(name: str, known: str) -> bool:
    return known == "*" or name == known or (known[:2] == "*." and name.endswith(known[1:]))


def _misdirected(scope: Scope) -> ProblemError:
    name = host_name(Headers(scope=scope).get("host", ""))[:100]
    detail = (
        f"This server was asked as {name}, which is none of its names; expected localhost or an "
        f"address in numbers. If it is one of them, start the server with REACTION_HOSTS={name}"
    )
    return ProblemError(HTTPStatus.MISDIRECTED_REQUEST, detail, "host")

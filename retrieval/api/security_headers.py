"""Security headers on every answer of both servers.

An answer that has a policy of its own keeps it: pages, media, the API's documentation. Everything
else is data, of which a browser is to make nothing, whatever it takes it for.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.api.access import OPERATIONS, local_path
from retrieval.web import current_policy

DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
POLICY = "Content-Security-Policy"
EVERYWHERE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    # The page's address has the visitor's message in it, which is nobody else's business.
    "Referrer-Policy": "same-origin",
}
PAGES: Mapping[str, str] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), "
    "geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), "
    "serial=(), usb=(), xr-spatial-tracking=()",
}
# Pages elsewhere may show GIFs, which have routes of their own, but embed no answer of the API.
DATA: Mapping[str, str] = {"Cross-Origin-Resource-Policy": "same-origin"}


class SecurityHeaders:
    """Adds what an answer lacks of these headers."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                wanted = _wanted(headers.get("content-type", ""), local_path(scope))
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, add)


def _wanted(content_type: str, path: str) -> Mapping[str, str]:
    wanted = {**EVERYWHERE}
    if content_type.startswith("text/html"):
        wanted |= {**PAGES, POLICY: current_policy()}
    elif content_type and "javascript" not in content_type:  # a worker would be bound by it
        wanted[POLICY] = DATA_POLICY
    if path.startswith(OPERATIONS):
        wanted |= DATA
    return wanted

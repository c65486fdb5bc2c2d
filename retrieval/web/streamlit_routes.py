"""Routes of Streamlit that this page has no use for, closed.

Streamlit answers more than its page asks: uploads of st.file_uploader, which are held in memory by
session, log-ins, metrics, an interface for agents. The page uses none of them.
"""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

CORE = "/_stcore/"
USED = frozenset({f"{CORE}{name}" for name in ("health", "host-config", "stream")})
USED_BELOW = (f"{CORE}bidi-components/",)  # components v2
CLOSED_BELOW = ("/auth/", "/oauth2callback", "/component/")  # log-ins; components v1


class CloseUnusedRoutes:
    """Answers 404 where Streamlit would do what the page never asks for."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] == "http" and _is_closed(path, scope["method"]):
            await PlainTextResponse("Nothing is at this address.", 404)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_closed(path: str, method: str) -> bool:
    if path.startswith(CORE):
        is_used = path in USED or path.startswith(USED_BELOW)
        return not is_used or method not in ("GET", "HEAD", "OPTIONS")
    return path.startswith(CLOSED_BELOW)

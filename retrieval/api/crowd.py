"""How many operations of the API are under way at once, as an ASGI middleware.

Searches wait for a thread, and messages for the encoder, in lines that have no end of their own.
Beyond these bounds a request is refused at once, with 503 and when to come again, rather than
answered after its client has given up.
"""

from __future__ import annotations

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from retrieval.api.access import GUARDED, OPEN, local_path
from retrieval.api.limits import client_of
from retrieval.api.problems import problem_response
from retrieval.errors import BusyError

MAX_AT_ONCE = 256
MAX_OF_CLIENT = 64  # a browser opens six connections, a proxy's visitors share an address


class BoundCrowd:
    """Answers 503 to more operations at once than there may be, of all clients or of one.

    All counting is done on the event loop, so without a lock.
    """

    def __init__(
        self, app: ASGIApp, max_at_once: int = MAX_AT_ONCE, max_of_client: int = MAX_OF_CLIENT
    ):
        self._app = app
        self._max_at_once, self._max_of_client = max_at_once, max_of_client
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = local_path(scope) if scope["type"] == "http" else ""
        if not path.startswith(GUARDED) or path in OPEN:
            await self._app(scope, receive, send)
            return
        client = client_of((scope.get("client") or ("", 0))[0])
        counted = self._under_way
        if counted.total() >= self._max_at_once or counted[client] >= self._max_of_client:
            await problem_response(BusyError())(scope, receive, send)
            return
        counted[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            counted[client] -= 1
            if not counted[client]:
                del counted[client]

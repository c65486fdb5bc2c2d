"""Addresses below the API at which nothing is, where Streamlit would send its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.routing import Match, Route

from retrieval.api.problems import ProblemError

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
NOTHING = "No operation is at this address. docs/api.md lists them."


def unknown_routes(
    prefix: str, routes: Sequence[Route], endpoint: Callable[[Callable[[Request], Any]], Any]
) -> list[Route]:
    """Routes for what is left below a prefix after `routes`, and for the prefix itself.

    `endpoint` makes an endpoint of a function that raises ProblemError.
    """

    def refuse(request: Request) -> None:
        allowed = set[str]()
        for route in routes:
            if route.matches(request.scope)[0] is not Match.NONE:
                allowed |= route.methods or set()
        if not allowed:
            raise ProblemError(HTTPStatus.NOT_FOUND, NOTHING)
        methods = ", ".join(sorted(allowed))
        raise ProblemError(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{request.method} is no method of this address; expected {methods}.",
            headers={"Allow": methods},
        )

    paths = (prefix, f"{prefix}/{{rest:path}}")
    return [Route(path, endpoint(refuse), methods=METHODS) for path in paths]

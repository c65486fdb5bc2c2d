"""The server of the API alone: a Starlette app without Streamlit, for uvicorn.

`server_routes` and `server_middleware` are what the page's server has as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from retrieval.api import giphy, tenor
from retrieval.api.access import GuardAccess
from retrieval.api.compatible import refusal
from retrieval.api.cross_origin import CrossOrigin
from retrieval.api.crowd import BoundCrowd
from retrieval.api.hosts import CheckHost
from retrieval.api.library import library_routes
from retrieval.api.metrics import CountRequests, ServerMetrics
from retrieval.api.operations import operation_routes
from retrieval.api.problems import ProblemError, problem_response
from retrieval.api.routes import API_ROUTE, api_routes, current_loading
from retrieval.api.security_headers import SecurityHeaders
from retrieval.api.slash import slash_routes
from retrieval.errors import SettingsError
from retrieval.web import current_settings, loading, tune_server
from retrieval.web.media_routes import RejectInvalidMediaUrls, media_routes

REFUSALS = {
    f"{service.PREFIX}/": partial(refusal, refuse=service.refuse) for service in (giphy, tenor)
}


@dataclass(frozen=True)
class Service:
    """The routes of a server and the middleware in front of them, the outermost first."""

    @cached_property
    def _metrics(self) -> ServerMetrics:
        return ServerMetrics(current_loading)

    @cached_property
    def routes(self) -> list[Route]:
        below_api = [*library_routes(), *operation_routes()]
        return [
            *media_routes(),
            *slash_routes(),
            self._metrics.route(),
            *giphy.giphy_routes(),
            *tenor.tenor_routes(),
            *api_routes(below_api),  # the last of them takes whatever else is below /api
        ]

    @cached_property
    def middleware(self) -> list[Middleware]:
        return [
            Middleware(SecurityHeaders),
            Middleware(CheckHost),
            Middleware(CountRequests, metrics=self._metrics, routes=self.routes),
            Middleware(CrossOrigin),
            Middleware(BoundCrowd),
            Middleware(GuardAccess, refusals=REFUSALS),
            Middleware(RejectInvalidMediaUrls),
        ]


def create_app() -> Starlette:
    """The API as an app of its own, which loads the library when it starts."""
    service = Service()
    return Starlette(
        routes=[*service.routes, Route("/", _index)],
        middleware=service.middleware,
        exception_handlers={HTTPException: _problem},
        lifespan=_load_at_start,
    )


@asynccontextmanager
async def _load_at_start(app: Starlette) -> AsyncIterator[None]:
    with suppress(SettingsError):  # every operation says what is wrong
        settings = current_settings()
        # The first picture that somebody sends loads the image tower, which takes 65 MB.
        loading(settings.index, settings.checkpoint, pictures=False)
    async with tune_server(app):
        yield


def _index(request: Request) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}{API_ROUTE}/docs")


def _problem(request: Request, error: Exception) -> Response:
    """Say in one sentence that there is nothing at an address, or not with this method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: "Nothing is at this address. docs/api.md lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method[:20]} is no method of this address.",
    }.get(status, str(error.detail))
    return problem_response(ProblemError(status, detail, headers=error.headers))

"""Metrics in Prometheus' text form, at /metrics with REACTION_METRICS=on.

Requests by route template, never by address, message or visitor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.api.problems import ProblemError, problem_response
from retrieval.errors import RetrievalError
from retrieval.web import Loading, current_settings
from retrieval.web.media_routes import current_renditions

METRICS_ROUTE = "/metrics"
BUCKETS = (0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
OTHER = "other"  # routes that are not ours: the page, and addresses that do not exist
SEARCHES = ("/search", "/translate", "/integrations/slack", "/integrations/mattermost")


class ServerMetrics:
    """What one server counts."""

    def __init__(self, load: Callable[[], Loading]):
        """`load` gives the library that is served, as far as it is loaded."""
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter(
            "reaction_http_requests", "Requests answered.", labels, registry=self.registry
        )
        self.seconds = Histogram(
            "reaction_http_request_seconds",
            "Seconds until a request was answered whole.",
            ["route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.searches = Counter("reaction_searches", "Searches answered.", registry=self.registry)
        self.registry.register(_LibraryMetrics(load))
        ProcessCollector(registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        self.requests.labels(method if method in METHODS else OTHER, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        if status == HTTPStatus.OK and route.endswith(SEARCHES):
            self.searches.inc()

    def route(self) -> Route:
        """The route of the text form; a problem where metrics are not shown."""

        def endpoint(request: Request) -> Response:
            try:
                if not current_settings().metrics:
                    detail = "Metrics are not shown here. They are with REACTION_METRICS=on."
                    raise ProblemError(HTTPStatus.NOT_FOUND, detail, "no_metrics")
            except (ProblemError, RetrievalError) as error:
                return problem_response(error)
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        return Route(METRICS_ROUTE, endpoint)


class _LibraryMetrics(Collector):
    """The state of the library and of renditions, looked up when they are asked for."""

    def __init__(self, load: Callable[[], Loading]):
        self._load = load

    def describe(self) -> Iterable[Metric]:
        return self._metrics(None, 0)

    def collect(self) -> Iterable[Metric]:
        load = self._load()
        return self._metrics(load, current_renditions().n_made)

    @staticmethod
    def _metrics(load: Loading | None, n_made: int) -> Iterator[Metric]:
        searcher = load.searcher if load else None
        ready = GaugeMetricFamily("reaction_library_ready", "1 once messages can be searched for.")
        ready.add_metric([], float(searcher is not None))
        failed = GaugeMetricFamily("reaction_library_failed", "1 if the library cannot be opened.")
        failed.add_metric([], float(bool(load and load.error and not searcher)))
        gifs = GaugeMetricFamily("reaction_library_gifs", "GIFs of the library, once it is loaded.")
        gifs.add_metric([], float(len(searcher.collection.records) if searcher else 0))
        made = CounterMetricFamily("reaction_renditions_made", "Renditions and stills made.")
        made.add_metric([], float(n_made))
        return iter((ready, failed, gifs, made))


class CountRequests:
    """An ASGI middleware that counts requests by the template of their route."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics, routes: Sequence[Route]):
        self._app, self._metrics = app, metrics
        self._templates: dict[object, str] = {route.endpoint: route.path for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            route = self._templates.get(scope.get("endpoint"), OTHER)
            seconds = time.perf_counter() - start
            self._metrics.count(scope["method"], route, status or 500, seconds)

"""What those who run the server ask it: is it alive, is it ready, which operations has it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from retrieval import __version__
from retrieval.api.questions import parse_language
from retrieval.api.routes import API_ROUTE, NO_STORE, current_searcher, operation

DOCUMENT = Path(__file__).with_name("openapi.yaml")
DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


def operation_routes() -> list[Route]:
    """The routes, for any server of the API."""
    return [
        Route(f"{API_ROUTE}/health", health),
        Route(f"{API_ROUTE}/ready", operation(ready)),
        Route(f"{API_ROUTE}/openapi.json", openapi),
        Route(f"{API_ROUTE}/docs", docs),
    ]


async def health(request: Request) -> Response:
    """Answer at all: a coroutine, so that it does not wait for a thread behind searches."""
    return JSONResponse({"status": "ok", "version": __version__}, headers=NO_STORE)


def ready(request: Request) -> dict[str, Any]:
    """Whether messages can be searched for; a problem, 503, while they cannot."""
    searcher = current_searcher(parse_language(request.query_params))
    return {"ready": True, "gifs": len(searcher.collection.records)}


def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return JSONResponse(openapi_document())


def docs(request: Request) -> Response:
    """The OpenAPI document as a page, without a script and without anything from elsewhere."""
    return HTMLResponse(_docs_page(), headers={"Content-Security-Policy": DOCS_POLICY})


@cache
def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of the native API, as openapi.yaml says it."""
    import yaml  # with jinja2, 60 ms that a server needs for nothing else

    document: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    document["info"]["version"] = __version__
    return document


@cache
def _docs_page() -> str:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=1, ensure_ascii=False)
    template = DOCUMENT.with_name("docs.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(api=openapi_document())

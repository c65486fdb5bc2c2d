"""The operations of the API, as Starlette routes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from retrieval.api.answers import answer, gif_of
from retrieval.api.categories import categories_json
from retrieval.api.problems import ProblemError, problem_response
from retrieval.api.questions import parse_language, parse_question
from retrieval.errors import BundleError, RetrievalError
from retrieval.search import Searcher
from retrieval.web import Loading, current_settings, filter_choices, loading, translate, visible

API_ROUTE = "/api/v1"
NO_STORE = {"Cache-Control": "no-store"}


def api_routes() -> list[Route]:
    """The routes of the API, for the server that has the library."""
    return [
        Route(f"{API_ROUTE}/search", operation(search)),
        Route(f"{API_ROUTE}/gifs/{{gif_id}}", operation(gif)),
        Route(f"{API_ROUTE}/categories", operation(categories)),
        Route(f"{API_ROUTE}/filters", operation(filters)),
        Route(f"{API_ROUTE}/state", operation(state)),
    ]


def operation(work: Callable[[Request], Any]) -> Callable[[Request], Response]:
    """An endpoint that answers with what `work` returns as JSON, or with a problem.

    It is no coroutine, so that Starlette runs it in a thread of its pool.
    """

    @functools.wraps(work)
    def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(work(request), headers=NO_STORE)
        except (ProblemError, RetrievalError, OSError) as error:
            return problem_response(error)

    return endpoint


def search(request: Request) -> dict[str, Any]:
    question = parse_question(request.query_params)
    return answer(question, current_searcher(question.language))


def gif(request: Request) -> dict[str, Any]:
    searcher = current_searcher(parse_language(request.query_params))
    return gif_of(searcher, request.path_params["gif_id"])


def categories(request: Request) -> dict[str, Any]:
    language = parse_language(request.query_params)
    return categories_json(current_searcher(language), language)


def filters(request: Request) -> dict[str, Any]:
    try:
        return dict(filter_choices(current_settings().index))
    except (BundleError, OSError):
        current_searcher(parse_language(request.query_params))  # says what is the matter
        return dict(filter_choices(current_settings().index))


def state(request: Request) -> dict[str, Any]:
    """How far the library is loaded."""
    language = parse_language(request.query_params)
    load = _loading()
    return {
        "ready": load.searcher is not None,
        "step": load.step,
        "text": translate(language, load.step),
        "fraction": 1.0 if load.searcher else load.fraction,
        "error": visible(load.error) if load.error and not load.searcher else None,
    }


def current_searcher(language: str) -> Searcher:
    """The searcher of the library; a problem while it loads and when it cannot be loaded."""
    load = _loading()
    if load.searcher is not None:
        return load.searcher
    if load.error:
        raise load.error
    text = translate(language, load.step)
    raise ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        text,
        "loading",
        retry_after_s=1,
        more={"fraction": load.fraction, "text": text},
    )


def _loading() -> Loading:
    settings = current_settings()
    return loading(settings.index, settings.checkpoint)

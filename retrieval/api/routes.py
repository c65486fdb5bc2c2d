"""The operations of the API, as Starlette routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from retrieval.api.answers import answer, gif_of
from retrieval.api.categories import categories_json
from retrieval.api.problems import ProblemError, problem_response
from retrieval.api.questions import parse_language, parse_question
from retrieval.api.unknown import unknown_routes
from retrieval.api.visitors import Visitors
from retrieval.api.votes import MAX_VOTE_BYTES, parse_vote
from retrieval.errors import BundleError, SettingsError
from retrieval.search import Searcher
from retrieval.web import (
    Loading,
    current_settings,
    filter_choices,
    loading,
    save_vote,
    translate,
    visible,
)

API_ROUTE = "/api/v1"
NO_STORE = {"Cache-Control": "no-store"}


def api_routes(others: Sequence[Route] = ()) -> list[Route]:
    """The routes of the API, for the server that has the library.

    `others` are routes below /api of other modules: the last route, which says what is wrong with
    an address, has to know them.
    """
    visitors = Visitors()
    with suppress(SettingsError):  # every operation says what is wrong
        visitors = Visitors.of(current_settings())

    def search(request: Request) -> dict[str, Any]:
        question = parse_question(request.query_params)
        searcher = current_searcher(question.language)
        picture = visitors.picture(question.picture, searcher.encoder)
        if question.mine:
            searcher = visitors.own_pictures(question.mine, searcher.encoder).searcher
        return answer(question, searcher, picture)

    async def add_picture(request: Request) -> dict[str, Any]:
        searcher = current_searcher(parse_language(request.query_params))
        return await visitors.add_picture(request, searcher)

    async def add_own(request: Request) -> dict[str, Any]:
        searcher = current_searcher(parse_language(request.query_params))
        return await visitors.add_own(request, searcher, current_settings())

    def forget_own(request: Request) -> None:
        visitors.own.forget(request.path_params["token"])

    async def vote(request: Request) -> dict[str, Any]:
        settings = current_settings()
        if not settings.feedback:
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "Votes are not collected here. They are with REACTION_FEEDBACK=on.",
                "no_votes",
            )
        searcher = current_searcher(parse_language(request.query_params))
        too_large = f"The vote has more than {MAX_VOTE_BYTES:,} bytes."
        async with visitors.bodies.read(request, MAX_VOTE_BYTES, too_large) as body:
            given = parse_vote(body, searcher)
        await run_in_threadpool(save_vote, settings.data, given)
        return {"when": given.when}

    routes = [
        *others,
        Route(f"{API_ROUTE}/search", operation(search)),
        Route(f"{API_ROUTE}/gifs/{{gif_id}}", operation(gif)),
        Route(f"{API_ROUTE}/categories", operation(categories)),
        Route(f"{API_ROUTE}/filters", operation(filters)),
        Route(f"{API_ROUTE}/state", operation(state)),
        Route(f"{API_ROUTE}/pictures", receiving(add_picture), methods=["POST"]),
        Route(f"{API_ROUTE}/mine", receiving(add_own), methods=["POST"]),
        Route(f"{API_ROUTE}/mine/{{token}}", operation(forget_own), methods=["DELETE"]),
        Route(f"{API_ROUTE}/votes", receiving(vote), methods=["POST"]),
    ]

    return [*routes, *unknown_routes("/api", routes, operation)]


def operation(work: Callable[[Request], Any]) -> Callable[[Request], Response]:
    """An endpoint that answers with what `work` returns as JSON, or with a problem.

    It is no coroutine, so that Starlette runs it in a thread of its pool.
    """

    def endpoint(request: Request) -> Response:
        try:
            return _response(work(request))
        except Exception as error:
            return problem_response(error)

    return endpoint


def receiving(
    work: Callable[[Request], Awaitable[Any]],
) -> Callable[[Request], Awaitable[Response]]:
    """The same for `work` that reads the request's body."""

    async def endpoint(request: Request) -> Response:
        try:
            return _response(await work(request))
        except Exception as error:
            return problem_response(error)

    return endpoint


def _response(content: Any) -> Response:
    if content is None:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=NO_STORE)
    return JSONResponse(content, headers=NO_STORE)


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
    load = current_loading()
    return {
        "ready": load.searcher is not None,
        "step": load.step,
        "text": translate(language, load.step),
        "fraction": 1.0 if load.searcher else load.fraction,
        "error": visible(load.error) if load.error and not load.searcher else None,
    }


def current_searcher(language: str) -> Searcher:
    """The searcher of the library; a problem while it loads and when it cannot be loaded."""
    load = current_loading()
    if load.searcher is not None:
        return load.searcher
    if load.error:
        raise load.error
    text = translate(language, load.step)
    raise ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        text,
        "loading",
        headers={"Retry-After": "1"},
        more={"fraction": load.fraction, "text": text},
    )


def current_loading() -> Loading:
    """The loading of the library that the settings name; SettingsError if they are wrong."""
    settings = current_settings()
    return loading(settings.index, settings.checkpoint)

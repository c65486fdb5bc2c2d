"""Tenor's API v2 over this library: below /v2, as its documentation describes it
(https://developers.google.com/tenor/guides/endpoints).

docs/api.md has the operations and what is different from the original.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from retrieval.api.categories import kept_examples
from retrieval.api.compatible import (
    MAX_NUMBER,
    Parameters,
    built_at,
    check_id,
    lead_to_gif,
    root_of,
    serving,
    unknown_gif,
)
from retrieval.api.forms import Forms
from retrieval.api.questions import Question, wrong
from retrieval.api.routes import current_searcher
from retrieval.api.selection import MAX_SEED, Page, by_id, page_of, shuffled, today, varied
from retrieval.api.tenor_json import FORMATS, result_json
from retrieval.api.terms import completions, reaction_titles, related_terms
from retrieval.api.unknown import unknown_routes
from retrieval.search import Result
from retrieval.web import translate

PREFIX = "/v2"
DEFAULT_LIMIT, MAX_LIMIT = 20, 50
DEFAULT_FORMATS = [name for name in FORMATS if not name.endswith("_transparent")]
CONTENT_FILTERS = ("off", "low", "medium", "high")
ASPECTS = ("all", "wide", "standard")
SEARCH_FILTERS = ("sticker", "static", "-static")
CATEGORY_TYPES = ("featured", "trending")
_CURSOR = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,10}))?")
# Google's names of the statuses (google.rpc.Code).
STATUSES = {
    HTTPStatus.BAD_REQUEST: "INVALID_ARGUMENT",
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.METHOD_NOT_ALLOWED: "UNIMPLEMENTED",
    HTTPStatus.TOO_MANY_REQUESTS: "RESOURCE_EXHAUSTED",
    HTTPStatus.SERVICE_UNAVAILABLE: "UNAVAILABLE",
}


class _Asked:
    """The parsed parameters of a request, the searcher, and how a result is serialized."""

    def __init__(self, request: Request):
        self.parameters = parameters = Parameters(request)
        self.language = parameters.language("locale")
        parameters.language("country")  # GIFs are the same everywhere, and all of them tame
        parameters.choice("contentfilter", CONTENT_FILTERS)
        parameters.choice("ar_range", ASPECTS)
        self.is_random = parameters.choice("random", ("true", "false")) == "true"
        self._is_sticker = "sticker" in parameters.choices("searchfilter", SEARCH_FILTERS)
        chosen = parameters.choices("media_filter", FORMATS)
        self._formats = chosen or list(FORMATS if self._is_sticker else DEFAULT_FORMATS)
        self.limit = parameters.number("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        self.searcher = current_searcher(self.language)
        self.root = root_of(request)
        self._created = built_at(self.searcher)

    def cursor(self, new_seed: int) -> tuple[int, int]:
        """(offset, seed): where the last page ended, and by which seed it was in order."""
        text = self.parameters.text("pos")
        match = _CURSOR.fullmatch(text or "0")
        offset, seed = map(int, match.groups(str(new_seed))) if match else (-1, -1)
        if not 0 <= offset <= MAX_NUMBER or not 0 <= seed <= MAX_SEED:
            raise wrong("pos", text, "the value of next in the answer before")
        return offset, seed

    def page(self, page: Page, seed: int | None = None) -> dict[str, Any]:
        following = f"{page.end}" if seed is None else f"{page.end}.{seed}"
        return {
            "results": [self.result(result) for result in page.results],
            "next": "" if page.is_last else following,
        }

    def result(self, result: Result) -> dict[str, Any]:
        return result_json(
            self.root, result, self.searcher, self._formats, self._created, self._is_sticker
        )


def refuse(status: int, sentence: str) -> dict[str, Any]:
    name = STATUSES.get(HTTPStatus(status), "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": status, "message": sentence, "status": name}}


def tenor_routes() -> list[Route]:
    """The routes, for the server that has the library."""
    operations: Mapping[str, Callable[[Request], Any]] = {
        "search": search,
        "featured": featured,
        "random": at_random,
        "posts": posts,
        "categories": categories,
        "autocomplete": autocomplete,
        "search_suggestions": search_suggestions,
        "trending_terms": trending_terms,
        "registershare": register_share,
        "view/{gif_id}": view,
    }
    routes = [Route(f"{PREFIX}/{name}", serving(work, refuse)) for name, work in operations.items()]
    return [*routes, *unknown_routes(PREFIX, routes, lambda work: serving(work, refuse))]


def search(request: Request) -> dict[str, Any]:
    asked = _Asked(request)
    return _search(asked, asked.is_random)


def at_random(request: Request) -> dict[str, Any]:
    """The best results in an order by chance, which v2 calls `search` with `random=true`."""
    return _search(_Asked(request), True)


def _search(asked: _Asked, is_random: bool) -> dict[str, Any]:
    message = asked.parameters.text("q", required="a message")
    offset, seed = asked.cursor(random.randrange(MAX_SEED))
    question = Question(message=message, limit=asked.limit, offset=offset, language=asked.language)
    if is_random:
        return asked.page(shuffled(question, asked.searcher, seed), seed)
    return asked.page(page_of(question, asked.searcher))


def featured(request: Request) -> dict[str, Any]:
    """A varied selection, another one every day: nobody counts here what others look at."""
    asked = _Asked(request)
    new_seed = random.randrange(MAX_SEED) if asked.is_random else today()
    offset, seed = asked.cursor(new_seed)
    return asked.page(varied(seed, asked.searcher, asked.limit, offset), seed)


def posts(request: Request) -> dict[str, Any]:
    asked = _Asked(request)
    ids = [check_id(gif_id) for gif_id in asked.parameters.ids("ids", MAX_LIMIT)]
    page = by_id(ids, asked.searcher)
    if not page.results:
        raise unknown_gif(ids[0])
    return asked.page(page)


def categories(request: Request) -> dict[str, Any]:
    """The kinds of reaction that a GIF of the library shows, each with that GIF."""
    asked = _Asked(request)
    asked.parameters.choice("type", CATEGORY_TYPES)
    examples = kept_examples(asked.searcher)
    titles = {name: translate(asked.language, f"reaction_{name}") for name in examples}
    tags = [
        {
            "searchterm": titles[name],
            "path": f"{asked.root}{PREFIX}/search?{urlencode({'q': titles[name]})}",
            "image": Forms(asked.root, examples[name], asked.searcher).category_image.url,
            "name": titles[name],
        }
        for name in sorted(titles, key=titles.__getitem__)
    ]
    return {"tags": tags, "locale": asked.language}


def autocomplete(request: Request) -> dict[str, Any]:
    asked = _Asked(request)
    text = asked.parameters.text("q", required="the beginning of a word")
    return _terms(completions(text, asked.searcher, asked.language, asked.limit))


def search_suggestions(request: Request) -> dict[str, Any]:
    asked = _Asked(request)
    text = asked.parameters.text("q", required="a message")
    return _terms(related_terms(text, asked.searcher, asked.language, asked.limit))


def trending_terms(request: Request) -> dict[str, Any]:
    """The kinds of reaction: nobody counts here what others search for."""
    asked = _Asked(request)
    return _terms(reaction_titles(asked.language)[: asked.limit])


def _terms(terms: Sequence[str]) -> dict[str, Any]:
    return {"results": list(terms)}


def register_share(request: Request) -> dict[str, Any]:
    """Nothing: what somebody shares is not kept."""
    asked = _Asked(request)
    gif_id = check_id(asked.parameters.text("id", required="a GIF's id"))
    if not by_id([gif_id], asked.searcher).results:
        raise unknown_gif(gif_id)
    asked.parameters.text("q")
    return {}


def view(request: Request) -> Response:
    asked = _Asked(request)
    return lead_to_gif(asked.root, request.path_params["gif_id"], asked.searcher)

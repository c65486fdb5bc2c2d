"""GIPHY's API over this library: below /v1, as https://developers.giphy.com/docs/api describes it.

docs/api.md has the operations and what is different from the original.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

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
from retrieval.api.giphy_json import gif_json
from retrieval.api.problems import ProblemError
from retrieval.api.questions import Question
from retrieval.api.routes import current_searcher
from retrieval.api.selection import (
    Page,
    alike,
    any_of,
    by_id,
    page_of,
    today,
    translated,
    varied,
)
from retrieval.api.terms import completions, reaction_titles, related_terms
from retrieval.api.unknown import unknown_routes
from retrieval.search import Result, Searcher
from retrieval.signals import Reactions
from retrieval.web import translate

PREFIX = "/v1"
KINDS = ("gifs", "stickers")
RATINGS = ("y", "g", "pg", "pg-13", "r")
DEFAULT_LIMIT, MAX_LIMIT, MAX_IDS = 25, 50, 100
DEFAULT_TERMS = 5
MAX_WEIRDNESS = 10


class _Asked:
    """The parsed parameters of a request, the searcher, and how a result is serialized."""

    def __init__(self, request: Request, kind: str = "gifs"):
        self.parameters = Parameters(request)
        self.language = self.parameters.language("lang")
        self.parameters.choice("rating", RATINGS)  # every GIF is rated g
        self.searcher: Searcher = current_searcher(self.language)
        self._root, self._kind = root_of(request), kind
        self._imported = built_at(self.searcher)

    def paging(self, default: int = DEFAULT_LIMIT) -> tuple[int, int]:
        """(limit, offset)"""
        limit = self.parameters.number("limit", default, 0, MAX_LIMIT)
        return limit, self.parameters.number("offset", 0, 0, MAX_NUMBER)

    def gif(self, result: Result | None) -> Any:
        """The GIF, or the empty list that GIPHY sends for none."""
        if result is None:
            return []
        return gif_json(self._root, result, self.searcher, self._kind, self._imported)

    def page(self, page: Page) -> dict[str, Any]:
        gifs = [self.gif(result) for result in page.results]
        return answer(gifs, page.total, page.passed, page.offset)


def answer(
    data: Any, total: int | None = None, count: int | None = None, offset: int = 0
) -> dict[str, Any]:
    """An answer; with pagination if there is a total."""
    content: dict[str, Any] = {"data": data, "meta": meta(HTTPStatus.OK, "OK")}
    if total is not None:
        count = len(data) if count is None else count
        content["pagination"] = {"total_count": total, "count": count, "offset": offset}
    return content


def meta(status: int, message: str) -> dict[str, Any]:
    """GIPHY's client takes an answer with an empty `response_id` for an error."""
    return {"status": int(status), "msg": message, "response_id": secrets.token_hex(16)}


def refuse(status: int, sentence: str) -> dict[str, Any]:
    return {"data": [], "meta": meta(status, sentence)}


def giphy_routes() -> list[Route]:
    """The routes, for the server that has the library."""
    operations: Mapping[str, Callable[[Request, str], Any]] = {
        "/search": search,
        "/search/tags": complete,
        "/trending": trending,
        "/translate": translate_message,
        "/random": at_random,
        "/related": related,
        "/categories": categories,
        "/categories/{category}": subcategories,
        "/categories/{category}/{name}": in_category,
        "": with_ids,
        "/{gif_id}": single,
    }
    others: Mapping[str, Callable[[Request], Any]] = {
        "/tags/related/{term:path}": related_tags,
        "/trending/searches": trending_searches,
        "/channels/search": channels,
        "/randomid": random_id,
        "/embed/{gif_id}": embedded,
        "/gifs/id/{gif_id}": embedded,  # where Jitsi Meet's `giphy.proxyUrl` shows a GIF from
    }
    routes = [
        Route(f"{PREFIX}/{kind}{path}", serving(_of_kind(work, kind), refuse))
        for kind in KINDS
        for path, work in operations.items()
    ]
    routes += [Route(f"{PREFIX}{path}", serving(work, refuse)) for path, work in others.items()]
    pingback = Route("/v2/pingback", serving(ignore, refuse), methods=["POST"])
    return [*routes, pingback, *unknown_routes(PREFIX, routes, lambda work: serving(work, refuse))]


def _of_kind(work: Callable[[Request, str], Any], kind: str) -> Callable[[Request], Any]:
    return lambda request: work(request, kind)


def search(request: Request, kind: str) -> dict[str, Any]:
    asked = _Asked(request, kind)
    message = asked.parameters.text("q", required="a message")
    limit, offset = asked.paging()
    question = Question(message=message, limit=limit, offset=offset, language=asked.language)
    return asked.page(page_of(question, asked.searcher))


def trending(request: Request, kind: str) -> dict[str, Any]:
    """A varied selection, another one every day: nobody counts here what others look at."""
    asked = _Asked(request, kind)
    limit, offset = asked.paging()
    return asked.page(varied(today(), asked.searcher, limit, offset))


def translate_message(request: Request, kind: str) -> dict[str, Any]:
    asked = _Asked(request, kind)
    message = asked.parameters.text("s", required="a message")
    weirdness = asked.parameters.number("weirdness", 0, 0, MAX_WEIRDNESS)
    return answer(asked.gif(translated(message, asked.searcher, asked.language, weirdness)))


def at_random(request: Request, kind: str) -> dict[str, Any]:
    asked = _Asked(request, kind)
    return answer(asked.gif(any_of(asked.parameters.text("tag"), asked.searcher, asked.language)))


def related(request: Request, kind: str) -> dict[str, Any]:
    asked = _Asked(request, kind)
    gif_id = check_id(asked.parameters.text("gif_id", required="a GIF's id"))
    if not by_id([gif_id], asked.searcher).results:
        raise unknown_gif(gif_id)
    limit, offset = asked.paging()
    return asked.page(alike(gif_id, asked.searcher, limit, offset))


def with_ids(request: Request, kind: str) -> dict[str, Any]:
    asked = _Asked(request, kind)
    ids = [check_id(gif_id) for gif_id in asked.parameters.ids("ids", MAX_IDS)]
    page = by_id(ids, asked.searcher)
    if not page.results:
        raise unknown_gif(ids[0])
    return asked.page(page)


def single(request: Request, kind: str) -> dict[str, Any]:
    asked = _Asked(request, kind)
    gif_id = check_id(request.path_params["gif_id"])
    results = by_id([gif_id], asked.searcher).results
    if not results:
        raise unknown_gif(gif_id)
    return answer(asked.gif(results[0]))


def categories(request: Request, kind: str) -> dict[str, Any]:
    """The kinds of reaction that a GIF of the library shows, each with that GIF."""
    asked = _Asked(request, kind)
    limit, offset = asked.paging(MAX_LIMIT)
    examples = kept_examples(asked.searcher)
    titles = {name: translate(asked.language, f"reaction_{name}") for name in examples}
    names = sorted(titles, key=titles.__getitem__)
    page = [
        _category(titles[name], name, asked.gif(examples[name]), nested=True)
        for name in names[offset : offset + limit]
    ]
    return answer(page, len(names), offset=offset)


def subcategories(request: Request, kind: str) -> dict[str, Any]:
    """The kind of reaction itself: kinds have no finer ones."""
    asked = _Asked(request, kind)
    limit, offset = asked.paging()
    name = _reaction(request.path_params["category"])
    gif = asked.gif(kept_examples(asked.searcher).get(name))
    title = translate(asked.language, f"reaction_{name}")
    return answer([_category(title, name, gif)][offset : offset + limit], 1, offset=offset)


def in_category(request: Request, kind: str) -> dict[str, Any]:
    """The GIFs that express a kind of reaction, those that do most first."""
    asked = _Asked(request, kind)
    category = _reaction(request.path_params["category"])
    if request.path_params["name"] != category:
        raise _no_category(request.path_params["name"])
    limit, offset = asked.paging()
    question = Question(browse=category, limit=limit, offset=offset, language=asked.language)
    return asked.page(page_of(question, asked.searcher))


def _category(title: str, name: str, gif: Any, *, nested: bool = False) -> dict[str, Any]:
    own = [{"name": title, "name_encoded": name}] if nested else []
    category = {"name": title, "name_encoded": name, "subcategories": own}
    return category | ({"gif": gif} if gif else {})


def _reaction(name: str) -> str:
    if name not in Reactions.load().categories:
        raise _no_category(name)
    return name


def _no_category(name: str) -> ProblemError:
    detail = f"No category {name[:40]!r}; /v1/gifs/categories lists them as name_encoded."
    return ProblemError(HTTPStatus.NOT_FOUND, detail)


def complete(request: Request, kind: str) -> dict[str, Any]:
    asked = _Asked(request)
    text = asked.parameters.text("q", required="the beginning of a word")
    limit, offset = asked.paging(DEFAULT_TERMS)
    found = completions(text, asked.searcher, asked.language, offset + limit)
    return _terms(found[offset:])


def related_tags(request: Request) -> dict[str, Any]:
    asked = _Asked(request)
    limit, offset = asked.paging(DEFAULT_TERMS)
    term = request.path_params["term"].strip()
    return _terms(related_terms(term, asked.searcher, asked.language, offset + limit)[offset:])


def _terms(terms: Sequence[str]) -> dict[str, Any]:
    return answer([{"name": term, "analytics_response_payload": ""} for term in terms])


def trending_searches(request: Request) -> dict[str, Any]:
    """The kinds of reaction: nobody counts here what others search for."""
    return answer(list(reaction_titles(_Asked(request).language)))


def channels(request: Request) -> dict[str, Any]:
    """None: a library has no channels. GIPHY's search bar asks for them."""
    return answer([], 0)


def random_id(request: Request) -> dict[str, Any]:
    """A random client id, as GIPHY's SDKs ask for one; it is not stored."""
    return answer({"random_id": secrets.token_hex(16)})


def embedded(request: Request) -> Response:
    asked = _Asked(request)
    return lead_to_gif(root_of(request), request.path_params["gif_id"], asked.searcher)


def ignore(request: Request) -> Response:
    """Take what GIPHY's clients say about their users, unread."""
    return Response(status_code=HTTPStatus.NO_CONTENT)

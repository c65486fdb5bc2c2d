"""What the compatible services share: parameters, addresses, and errors in a service's own form."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from retrieval.api.gifs import media_of
from retrieval.api.problems import ProblemError, problem_of
from retrieval.api.questions import wrong
from retrieval.api.selection import by_id
from retrieval.library import MANIFEST, Bundle
from retrieval.search import Result, Searcher
from retrieval.web import LANGUAGES, current_settings, visible

HEADERS = {"Cache-Control": "no-store"}
MAX_CHARS = 2_000  # of a parameter
MAX_NUMBER = 2**31
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_ID = re.compile(r"[0-9a-f]{16,64}")  # a SHA-256, or enough of it to be one GIF's

Work = Callable[[Request], Any]
Refuse = Callable[[int, str], dict[str, Any]]


class Parameters:
    """A request's parameters; a wrong or repeated one is a problem that names it."""

    def __init__(self, request: Request):
        self._query = request.query_params

    def text(self, name: str, *, required: str = "", most: int = MAX_CHARS) -> str:
        """The value without blanks around it. `required` says what is missing if it is empty."""
        values = self._query.getlist(name)
        if len(values) > 1:
            raise _bad(f"The parameter {name} is given {len(values):,} times; expected once.")
        value = values[0].strip() if values else ""
        if len(value) > most:
            expected = f"at most {most:,} characters"
            raise _bad(f"The parameter {name} has {len(value):,} characters; expected {expected}.")
        if required and not value:
            raise _bad(f"The parameter {name} is missing; expected {required}.")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        text = self.text(name)
        if not text:
            return default
        is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
        if not is_number or not least <= int(text) <= most:
            raise wrong(name, text, f"a whole number from {least} to {most}")
        return int(text)

    def choice(self, name: str, values: Collection[str]) -> str:
        """One of the values, in lower case; "" if it is not given."""
        text = self.text(name).lower()
        if text and text not in values:
            raise wrong(name, text, "one of " + ", ".join(values))
        return text

    def choices(self, name: str, values: Collection[str]) -> Sequence[str]:
        """Some of the values, between commas."""
        given = [text.strip() for text in self.text(name).split(",") if text.strip()]
        for text in given:
            if text not in values:
                raise wrong(name, text, "some of " + ", ".join(values) + ", between commas")
        return given

    def language(self, name: str) -> str:
        """The language of titles: the first one if it is another than ours."""
        locale = self.text(name)
        if locale and not _LOCALE.fullmatch(locale):
            raise wrong(name, locale, "a language such as en or a locale such as ko_KR")
        language = re.split("[-_]", locale)[0].lower()
        return language if language in LANGUAGES else next(iter(LANGUAGES))

    def ids(self, name: str, most: int) -> Sequence[str]:
        """Ids between commas, each once, in the order given."""
        text = self.text(name, required="ids between commas", most=70 * most)
        ids = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        if not 0 < len(ids) <= most:
            raise _bad(f"The parameter {name} has {len(ids):,} ids; expected 1 to {most}.")
        return ids


def check_id(gif_id: str) -> str:
    """The id as it is; a problem if no GIF can have it."""
    if not _ID.fullmatch(gif_id):
        raise unknown_gif(gif_id)
    return gif_id


def unknown_gif(gif_id: str) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"No GIF {gif_id[:12]!r} in this library.")


def root_of(request: Request) -> str:
    """The absolute address of this server, without a slash at its end.

    It is REACTION_PUBLIC_URL, or what the request came to: behind a proxy that is what uvicorn
    takes from the X-Forwarded headers of proxies it trusts.
    """
    configured = current_settings().public_url
    if configured:
        return configured
    try:
        return str(request.base_url).rstrip("/")
    except ValueError:
        raise _bad("The header Host is no host; expected one such as localhost:8501.") from None


def media_url(root: str, result: Result, searcher: Searcher) -> str:
    """The absolute address of a GIF's own file."""
    media = media_of(result.record, searcher)
    return media.file or "" if media.is_web else f"{root}/{media.file}"


def lead_to_gif(root: str, gif_id: str, searcher: Searcher) -> Response:
    """Lead to the GIF itself: a library has no page for each."""
    results = by_id([check_id(gif_id)], searcher).results
    if not results:
        raise unknown_gif(gif_id)
    return RedirectResponse(media_url(root, results[0], searcher))


def built_at(searcher: Searcher) -> float:
    """When the library was built, Unix time; 0 if that is not known."""
    collection = searcher.collection
    if not isinstance(collection, Bundle):
        return 0.0
    try:
        return (collection.path / MANIFEST).stat().st_mtime
    except OSError:
        return 0.0


def serving(work: Work, refuse: Refuse) -> Callable[[Request], Response]:
    """An endpoint that answers with what `work` returns, errors as `refuse(status, sentence)`."""

    def endpoint(request: Request) -> Response:
        try:
            content = work(request)
            if isinstance(content, Response):
                return content
            return JSONResponse(content, headers=HEADERS)
        except Exception as error:
            return refusal(error, refuse)

    return endpoint


def refusal(error: Exception, refuse: Refuse) -> Response:
    """An error in a service's own form, `refuse(status, sentence)`."""
    problem = problem_of(error)
    status = int(problem.status)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:  # which neither service has
        status = int(HTTPStatus.BAD_REQUEST)
    content = refuse(status, visible(problem.detail))
    return JSONResponse(content, status, headers=HEADERS | dict(problem.headers))


def _bad(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, detail, "parameter")

"""The answer that a page shows first, made while its HTML is sent."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import QueryParams

from retrieval.api.answers import answer
from retrieval.api.problems import ProblemError
from retrieval.api.questions import DEFAULT_LIMIT, parse_question
from retrieval.api.routes import current_searcher
from retrieval.errors import RetrievalError
from retrieval.web import LANGUAGES, OPENING, page_config

ASKING = frozenset({"q", "chat", "like", "browse", "surprise"})
SHAPING = ASKING | {"not", "not_weight", "only", "off", "animated", "min", "fold"}
SHAPING |= {"tag", "license", "source"}


def page_start(query_string: str) -> dict[str, Any]:
    """The page's configuration for an address, with the answer to what it asks.

    `first` is None while the library loads, and for a question that cannot be answered: the
    page asks again and shows the error.
    """
    pairs = parse_qsl(query_string, keep_blank_values=True)
    wanted = dict(pairs).get("lang", "")
    language = wanted if wanted in LANGUAGES else next(iter(LANGUAGES))
    asked = [(name, value) for name, value in pairs if name in SHAPING]
    if not any(name in ASKING for name, _ in asked):
        asked.append(("q", OPENING))
    asked = [(name, value) for name, value in asked if value]
    asked += [("limit", str(DEFAULT_LIMIT)), ("lang", language)]
    first = searcher = None
    with suppress(ProblemError, RetrievalError, OSError):
        searcher = current_searcher(language)
        found = answer(parse_question(QueryParams(asked)), searcher)
        first = {"asked": urlencode(asked), "answer": found}
    return {**page_config(language, searcher), "first": first}

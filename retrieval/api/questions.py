"""The parameters of a search, and the query that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import numpy as np
from starlette.datastructures import QueryParams

from retrieval.api.problems import ProblemError
from retrieval.library import SIGNALS
from retrieval.search import FUSIONS, Filter, Query, Searcher, Term, chat_terms
from retrieval.signals import Reactions
from retrieval.web import LANGUAGES, question_as_text

MAX_LIMIT, DEFAULT_LIMIT = 120, 30
_ALL = Filter()
LISTS = frozenset({"off", "tag", "license", "source", "signals"})  # may be repeated
MAX_TOLD = 60  # characters of a wrong value that an error repeats

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """What is asked, how the answer is narrowed, and which page of it is wanted."""

    message: str = ""
    chat: str = ""
    negative: str = ""
    negative_weight: float = 0.5
    picture: str = ""  # token of a picture that was sent before
    picture_weight: float = 1.0
    like: str = ""  # a GIF's id or its first characters
    off: tuple[str, ...] = ()  # reactions turned off
    only: str = ""  # the one reaction to answer with
    browse: str = ""  # a reaction to look through, without a message
    surprise: int | None = None  # seed of a random order
    keep: Filter = _ALL
    fold: bool = True
    signals: tuple[str, ...] = ()  # to rank by; (): all that the library has
    fusion: str = ""  # one of FUSIONS; "": the library's default
    mine: str = ""  # token of the visitor's own pictures
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    language: str = next(iter(LANGUAGES))

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to rank by."""
        return bool(self.message or self.chat or self.picture)


def parse_question(parameters: QueryParams) -> Question:
    """Read a search's parameters; a wrong value is a problem that names it."""
    for name in dict.fromkeys(parameters):
        if name not in LISTS and (n := len(parameters.getlist(name))) > 1:
            detail = f"The parameter {name} is given {n:,} times; expected once."
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "parameter")
    fusion = parameters.get("fusion", "")
    if fusion and fusion not in FUSIONS:
        raise wrong("fusion", fusion, "one of " + ", ".join(FUSIONS))
    return Question(
        message=parameters.get("q", "").strip(),
        chat=parameters.get("chat", "").strip(),
        negative=parameters.get("not", "").strip(),
        negative_weight=_number(parameters, "not_weight", 0.5, 0, 1, float),
        picture=parameters.get("picture", ""),
        picture_weight=_number(parameters, "picture_weight", 1.0, 0.1, 3, float),
        like=parameters.get("like", "").strip(),
        off=tuple(_reaction("off", name) for name in parameters.getlist("off") if name),
        only=_reaction("only", parameters.get("only", "")),
        browse=_reaction("browse", parameters.get("browse", "")),
        surprise=_number(parameters, "surprise", None, 0, 2**53, int),
        keep=Filter(
            tags=frozenset(parameters.getlist("tag")),
            licenses=frozenset(parameters.getlist("license")),
            sources=frozenset(parameters.getlist("source")),
            animated_only=_switch(parameters, "animated", False),
            min_score=_number(parameters, "min", 0.0, 0, 1, float) or None,
        ),
        fold=_switch(parameters, "fold", True),
        signals=tuple(map(_signal, parameters.getlist("signals"))),
        fusion=fusion,
        mine=parameters.get("mine", ""),
        limit=_number(parameters, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT, int),
        offset=_number(parameters, "offset", 0, 0, 2**31, int),
        language=parse_language(parameters),
    )


def parse_language(parameters: QueryParams) -> str:
    """The language of sentences; the first one by default."""
    language = parameters.get("lang") or next(iter(LANGUAGES))
    if language not in LANGUAGES:
        raise wrong("lang", language, "one of " + ", ".join(LANGUAGES))
    return language


def wrong(name: str, value: object, expected: str) -> ProblemError:
    """The problem that a parameter has a value which makes no sense."""
    told = repr(value if not isinstance(value, str) else value[:MAX_TOLD])
    detail = f"The parameter {name} is {told}; expected {expected}."
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "parameter")


def _number(
    parameters: QueryParams,
    name: str,
    default: T,
    least: float,
    most: float,
    parse: Callable[[str], float],
) -> T:
    text = parameters.get(name, "")
    if not text:
        return default
    kind = "a whole number" if parse is int else "a number"
    try:
        value = parse(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise wrong(name, text, f"{kind} from {least:g} to {most:.17g}")
    return value  # type: ignore[return-value]  # of the type that `parse` gives


def _switch(parameters: QueryParams, name: str, default: bool) -> bool:
    text = parameters.get(name, "")
    if text not in ("", "0", "1"):
        raise wrong(name, text, "0 or 1")
    return text == "1" if text else default


def _signal(name: str) -> str:
    if name not in SIGNALS:
        raise wrong("signals", name, "one of " + ", ".join(SIGNALS))
    return name


def _reaction(name: str, value: str) -> str:
    if value and value not in (categories := Reactions.load().categories):
        raise wrong(name, value, "one of " + ", ".join(categories))
    return value


def understand_question(
    question: Question, searcher: Searcher, picture: np.ndarray | None = None
) -> Query:
    """The query as every signal of the library understands it; `picture` is its embedding."""
    terms = []
    if question.message:
        terms.append(Term(question.message))
    terms += chat_terms(question.chat)
    if picture is not None:
        terms.append(Term(picture, question.picture_weight))
    if question.negative and question.negative_weight:
        terms.append(Term(question.negative, -question.negative_weight))
    return searcher.understand(terms)


def with_chosen_reactions(query: Query, question: Question) -> Query:
    """The query for the reaction that the question insists on, or without those turned off."""
    if question.only:
        return query.with_reactions(insisted=[question.only])
    return query.with_reactions(removed=question.off)


def describe_question(question: Question, like: str = "") -> str:
    """The question as text, as a vote on its results stores it; `like` is a GIF's title."""
    if like:
        return question_as_text(like=like)
    messages: Sequence[str] = [question.message] if question.message else []
    chat = [str(term.content) for term in chat_terms(question.chat)]
    return question_as_text(
        [*messages, *chat],
        negative=question.negative if question.negative_weight else "",
        picture=bool(question.picture),
    )

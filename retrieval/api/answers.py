"""A question and a searcher to the JSON of an answer."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from retrieval.api.gifs import gif_json
from retrieval.api.problems import ProblemError
from retrieval.api.questions import (
    Question,
    describe_question,
    understand_question,
    with_chosen_reactions,
    wrong,
)
from retrieval.search import Filter, Query, Result, Searcher
from retrieval.web import advise, translate

KEPT_QUERIES = 256  # of each searcher: every page of an answer needs the same one
MAX_CHIPS = 4  # recognised reactions that are offered to be turned off
PHRASE_CHARS = 60  # of a quoted phrase that a sentence repeats

# Searches take turns: side by side they share the cores, and each has to wait for the last one.
# With 20 clients on 2 cores the median fell from 24 to 21 ms, the 99th percentile from 77 to 59.
_turn = threading.Semaphore(max(1, (os.cpu_count() or 1) // 2))
_lock = threading.Lock()
_recent: WeakKeyDictionary[Searcher, OrderedDict[Hashable, Query]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Found:
    """A page of results."""

    results: Sequence[Result]
    query: Query | None  # None: nothing was asked
    signals: Sequence[str]  # by which the results are in order
    is_last: bool


def answer(
    question: Question, searcher: Searcher, picture: np.ndarray | None = None
) -> dict[str, Any]:
    """Return the page of results that is asked for, and what is said about it.

    `picture` is the embedding of the question's picture. Raises what searching raises;
    ProblemError if there is no GIF to be like.
    """
    question = settled(question, searcher)
    start = time.perf_counter()
    found = find(question, searcher, picture)
    took_ms = 1000 * (time.perf_counter() - start)
    query, results, signals = found.query, found.results, found.signals
    score = None
    if query is not None:
        score = "cosine" if signals == ("frames",) else "probability"
    like = searcher.record(question.like) if question.like else None
    return {
        "gifs": [
            gif_json(result, searcher, is_ranked=bool(signals), has_score=query is not None)
            for result in results
        ],
        "offset": question.offset,
        "next_offset": None if found.is_last else question.offset + len(results),
        "total": len(searcher.collection.records),
        "took_ms": round(took_ms, 2),
        "signals": list(signals),
        "score": score,
        "reactions": _recognised(query, searcher),
        "notes": notes_for(question, query, searcher),
        "like": gif_of(searcher, question.like) if like else None,
        "empty": _explain_nothing(question, query, searcher)
        if not results and not question.offset
        else None,
        "question": ""
        if query is None or question.mine
        else describe_question(question, like.title if like else ""),
    }


def settled(question: Question, searcher: Searcher) -> Question:
    """The question as this library can answer it."""
    if question.mine:
        question = replace(question, like="")
    if question.browse and not question.is_asked and searcher.expressed is None:
        name = translate("en", f"reaction_{question.browse}")
        question = replace(question, message=name, browse="")
    return question


def find(question: Question, searcher: Searcher, picture: np.ndarray | None = None) -> Found:
    """The page of results that a settled question asks for. Raises what `answer` raises."""
    with _turn:
        return _find(question, searcher, picture)


def _find(question: Question, searcher: Searcher, picture: np.ndarray | None) -> Found:
    query = _query(question, searcher, picture)
    if query is None:
        results, signals = _browse(question, searcher)
    else:
        signals = _signals_of(question, query, searcher)
        results = searcher.search(
            with_chosen_reactions(query, question),
            question.limit + 1,  # one more, to see whether there is another page
            fold=question.fold,
            keep=question.keep,
            signals=signals,
            fusion=question.fusion or None,
            offset=question.offset,
        )
    is_last = len(results) <= question.limit
    return Found(results[: question.limit], query, signals, is_last)


def _signals_of(question: Question, query: Query, searcher: Searcher) -> tuple[str, ...]:
    """The signals to rank by: those that are asked for, of those that can rank for this query."""
    usable = searcher.signals_for(query)
    unknown = [name for name in question.signals if name not in searcher.signals]
    if unknown:
        raise wrong("signals", unknown[0], "one that this library has: " + ", ".join(usable))
    return tuple(name for name in usable if name in question.signals) or usable


def _query(question: Question, searcher: Searcher, picture: np.ndarray | None) -> Query | None:
    """What is asked; None if nothing is."""
    if question.like:
        check_like(question.like, searcher)
        return Query(searcher.like(question.like))
    if not question.is_asked:
        return None
    asked = (question.message, question.chat, question.picture, question.picture_weight)
    key = (*asked, question.negative, question.negative_weight)
    with _lock:
        recent = _recent.setdefault(searcher, OrderedDict())
        if key in recent:
            recent.move_to_end(key)
            return recent[key]
    query = understand_question(question, searcher, picture)
    with _lock:
        recent[key] = query
        while len(recent) > KEPT_QUERIES:
            recent.popitem(last=False)
    return query


def check_like(gif_id: str, searcher: Searcher) -> None:
    """ProblemError unless a GIF of the library has this id, or one that starts so."""
    if searcher.collection.records.find(gif_id) is None:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            f"No GIF {gif_id[:12]} in this library. It may have been rebuilt.",
            "unknown_gif",
        )


def gif_of(searcher: Searcher, gif_id: str) -> dict[str, Any]:
    """One GIF as JSON, by its id or the first characters of it."""
    check_like(gif_id, searcher)
    result = searcher.single(gif_id)
    return gif_json(result, searcher, is_ranked=False, has_score=False)


def notes_for(question: Question, query: Query | None, searcher: Searcher) -> Sequence[str]:
    """Advice on the question, one sentence each, in the visitor's language."""
    said = " ".join([question.message, question.chat])
    by_frames = bool(question.like or question.picture or question.mine)
    advice = advise(said, searcher, by_frames=by_frames)
    return [translate(question.language, each.key, **each.values) for each in advice]


def _browse(question: Question, searcher: Searcher) -> tuple[list[Result], Sequence[str]]:
    """GIFs without a question, and the signals by which they are in order."""
    results = searcher.browse(
        question.limit + 1,
        reaction=question.browse,
        seed=question.surprise,
        fold=question.fold,
        keep=question.keep,
        offset=question.offset,
    )
    return results, ("reaction",) if question.browse else ()


def _recognised(query: Query | None, searcher: Searcher) -> Sequence[Mapping[str, Any]] | None:
    """The reactions that the message calls for; None where they do not count."""
    if query is None or query.reactions is None or "reaction" not in searcher.signals:
        return None
    likely = list(query.called_for().items())[:MAX_CHIPS]
    return [{"name": name, "probability": round(p, 4)} for name, p in likely]


def _explain_nothing(question: Question, query: Query | None, searcher: Searcher) -> str:
    """Why there are no results, and what to change."""
    keep: Filter = question.keep
    if query is not None:
        missing = searcher.missing_phrases(query)
        if missing:
            phrase = missing[0]
            if len(phrase) > PHRASE_CHARS:
                phrase = f"{phrase[: PHRASE_CHARS - 1]}…"
            return translate(question.language, "nothing_says", phrase=phrase)
        if query.message and (query.message.required or query.message.excluded):
            return translate(question.language, "nothing_together")
        if keep.min_score:
            return translate(question.language, "nothing", min_score=keep.min_score)
    return translate(question.language, "nothing_filtered")

"""A vote on a result, as a client sends it."""

from __future__ import annotations

import json
import math
from datetime import datetime
from http import HTTPStatus
from typing import Any

from retrieval.api.problems import ProblemError
from retrieval.api.questions import wrong
from retrieval.search import Searcher
from retrieval.web import Vote, timestamp

MAX_VOTE_BYTES = 100_000
MAX_QUESTION_CHARS = 20_000  # a message, six lines of a chat and a negative text are less


def parse_vote(body: bytes, searcher: Searcher) -> Vote:
    """Read {"question", "gif_id", "rank", "score", "fits", "when"?}; a wrong value is a problem.

    A question is text only: of a picture it says that there was one.
    """
    try:
        sent: Any = json.loads(body)
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "The body is no JSON object.")
    question, rank, score, fits = (sent.get(name) for name in ("question", "rank", "score", "fits"))
    if not isinstance(question, str) or not 0 < len(question) <= MAX_QUESTION_CHARS:
        raise wrong("question", question, f"text of 1 to {MAX_QUESTION_CHARS:,} characters")
    if type(rank) is not int or rank < 1:
        raise wrong("rank", rank, "a whole number from 1")
    if not isinstance(score, (int, float)) or isinstance(score, bool) or not math.isfinite(score):
        raise wrong("score", score, "a number")
    if type(fits) is not bool:
        raise wrong("fits", fits, "true or false")
    gif_id = sent.get("gif_id")
    number = searcher.collection.records.find(gif_id) if isinstance(gif_id, str) else None
    if number is None or searcher.collection.records[number].id != gif_id:
        raise wrong("gif_id", gif_id, "the id of a GIF of this library")
    return Vote(
        when=_time(sent["when"]) if sent.get("when") else timestamp(),
        message=question,
        gif_id=gif_id,
        title=searcher.collection.records[number].title,
        rank=rank,
        score=round(float(score), 6),
        fits=fits,
        fingerprint=searcher.encoder.fingerprint,
        bundle=searcher.collection.name,
        pooling=searcher.collection.pooling,
    )


def _time(when: object) -> str:
    """The time of the first answer, which a changed answer repeats."""
    try:
        datetime.fromisoformat(str(when))
    except ValueError:
        raise wrong("when", when, "the time that the first answer was given") from None
    return str(when)

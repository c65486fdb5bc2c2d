"""The GIFs that a compatible service shows: found, varied, by chance, alike, by id.

Ranking is that of the API's own search. GIFs that cannot be shown are left out.
"""

from __future__ import annotations

import random
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import numpy as np

from retrieval.api.answers import find, settled
from retrieval.api.gifs import media_of
from retrieval.api.questions import Question
from retrieval.search import Query, Result, Searcher

RANDOM_OF = 50  # best results of a message, of which one by chance still answers it
MAX_SEED = 2**31
PER_WEIRDNESS = 5  # results further down that each degree of weirdness may reach

_lock = threading.Lock()
_totals: weakref.WeakKeyDictionary[Searcher, int] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Page:
    """Results, and where in the whole list they are."""

    results: Sequence[Result]
    offset: int = 0
    passed: int = 0  # places of the list that this page takes, with GIFs that cannot be shown
    is_last: bool = True
    total: int = 0  # of the whole list; exact on its last page, and else at most this
    query: Query | None = None

    @property
    def end(self) -> int:
        return self.offset + self.passed


def page_of(question: Question, searcher: Searcher) -> Page:
    """A page of what a question finds, near-duplicates folded."""
    found = find(settled(question, searcher), searcher)
    passed = len(found.results)
    end = question.offset + passed
    if found.is_last:
        total = end if passed else min(question.offset, _distinct(searcher))
    else:
        total = max(end + 1, _distinct(searcher))
    shown = _shown(found.results, searcher)
    return Page(shown, question.offset, passed, found.is_last, total, found.query)


def today() -> int:
    """The seed of the day: what is varied is another selection every day."""
    return datetime.now(timezone.utc).toordinal()


def varied(seed: int, searcher: Searcher, limit: int, offset: int = 0) -> Page:
    """One GIF of each kind of reaction, then the next of each, and so on to all GIFs."""
    return page_of(Question(surprise=seed, limit=limit, offset=offset), searcher)


def shuffled(question: Question, searcher: Searcher, seed: int) -> Page:
    """A page of the RANDOM_OF best results in an order by chance, the same for the same seed."""
    best = page_of(replace(question, limit=RANDOM_OF, offset=0), searcher)
    results = list(best.results)
    random.Random(seed).shuffle(results)
    page = results[question.offset : question.offset + question.limit]
    is_last = question.offset + len(page) >= len(results)
    return Page(page, question.offset, len(page), is_last, len(results))


def alike(gif_id: str, searcher: Searcher, limit: int, offset: int) -> Page:
    """A page of the GIFs that are most like one, without itself."""
    most = min(offset + limit, len(searcher.collection.records)) + 2  # itself, and one more
    found = page_of(Question(like=gif_id, limit=most), searcher)
    own = searcher.record(gif_id).id
    others = [
        result
        for result in found.results
        if own not in {result.record.id, *(record.id for record in result.folded)}
    ]
    page = others[offset : offset + limit]
    is_last = found.is_last and offset + len(page) >= len(others)
    total = len(others) if found.is_last else max(len(others), found.total - 1)
    return Page(page, offset, len(page), is_last, total)


def by_id(ids: Sequence[str], searcher: Searcher) -> Page:
    """The GIFs with these ids, in this order; ids that no GIF has are left out."""
    records = searcher.collection.records
    found = [searcher.single(gif_id) for gif_id in ids if records.find(gif_id) is not None]
    shown = _shown(found, searcher)
    return Page(shown, 0, len(shown), True, len(shown))


def any_of(text: str, searcher: Searcher, language: str) -> Result | None:
    """A GIF by chance: of those that answer a message best, or of all without one."""
    seed = random.randrange(MAX_SEED)
    if text:
        question = Question(message=text, language=language, limit=1)
        page = shuffled(question, searcher, seed)
    else:
        page = varied(seed, searcher, 10)  # several, as one may be missing
    return next(iter(page.results), None)


def translated(text: str, searcher: Searcher, language: str, weirdness: int) -> Result | None:
    """The best answer to a message; with weirdness, one by chance of the better ones."""
    question = Question(message=text, language=language, limit=1 + PER_WEIRDNESS * weirdness)
    results = page_of(question, searcher).results
    return random.choice(results) if results else None


def _shown(results: Sequence[Result], searcher: Searcher) -> Sequence[Result]:
    return [result for result in results if media_of(result.record, searcher).file]


def _distinct(searcher: Searcher) -> int:
    """How many GIFs there are if near-duplicates count once."""
    with _lock:
        if searcher not in _totals:
            records = searcher.collection.records
            everything = np.arange(len(records))
            _totals[searcher] = len(records.one_of_each_group(everything))
        return _totals[searcher]

"""Words to search for: completions of what is typed, and what is related to a message."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from retrieval.api.questions import Question
from retrieval.api.selection import page_of
from retrieval.library import Catalog
from retrieval.search import Searcher
from retrieval.signals import Reactions
from retrieval.web import translate

LOOKED_AT = 20  # results whose tags are related to a message

_lock = threading.Lock()
_tags: weakref.WeakKeyDictionary[Searcher, Sequence[_Tag]] = weakref.WeakKeyDictionary()


class _Tag(NamedTuple):
    folded: str
    text: str


def reaction_titles(language: str) -> Sequence[str]:
    """The names of all kinds of reaction, in alphabetical order."""
    return sorted(translate(language, f"reaction_{name}") for name in Reactions.load().categories)


def completions(text: str, searcher: Searcher, language: str, limit: int) -> Sequence[str]:
    """Reactions and tags that begin so, then those with a word that does; frequent tags first."""
    start = text.casefold()
    titles = [_Tag(title.casefold(), title) for title in reaction_titles(language)]
    candidates = [*titles, *_tags_of(searcher)]
    first = [tag.text for tag in candidates if tag.folded.startswith(start)]
    inner = [tag.text for tag in candidates if f" {start}" in tag.folded]
    return _distinct([*first, *inner], "")[:limit]


def related_terms(text: str, searcher: Searcher, language: str, limit: int) -> Sequence[str]:
    """The reactions that a message calls for, and the tags that its best answers share."""
    question = Question(message=text, language=language, limit=LOOKED_AT)
    page = page_of(question, searcher)
    reactions = page.query.called_for() if page.query else {}
    titles = [translate(language, f"reaction_{name}") for name in reactions]
    tags = Counter(tag for result in page.results for tag in result.record.tags)
    return _distinct([*titles, *(tag for tag, _ in tags.most_common())], text)[:limit]


def _distinct(terms: Sequence[str], without: str) -> list[str]:
    """The terms, each once whatever its case, without one."""
    by_folded: dict[str, str] = {}
    for term in terms:
        by_folded.setdefault(term.casefold(), term)
    by_folded.pop(without.casefold(), None)
    return list(by_folded.values())


def _tags_of(searcher: Searcher) -> Sequence[_Tag]:
    with _lock:
        if searcher not in _tags:
            _tags[searcher] = _by_frequency(searcher.collection.records)
        return _tags[searcher]


def _by_frequency(records: Catalog) -> Sequence[_Tag]:
    numbers = records.tags.numbers
    frequent = sorted(numbers, key=lambda tag: (-len(numbers[tag]), tag))
    return [_Tag(tag.casefold(), tag) for tag in frequent]

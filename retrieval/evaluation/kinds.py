"""Which kinds of reaction a GIF is, and judgements made from them.

A GIF with an emoji has the categories that list it in data/reactions.json. A GIF without one
has the categories that its tags name, as in a library sorted by ReactionGIF's categories.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from retrieval.evaluation.art import key_of_char
from retrieval.evaluation.data import load_reactions
from retrieval.evaluation.judgements import JudgedSet, Topic
from retrieval.evaluation.runs import Run
from retrieval.library import Record


def kinds_of(records: Iterable[Record]) -> dict[str, frozenset[str]]:
    """Return the reaction categories of each GIF, by id; GIFs of no known category are left out."""
    reactions = load_reactions()
    of_emoji: dict[str, set[str]] = {}
    for category, chars in reactions.items():
        for char in chars:
            of_emoji.setdefault(key_of_char(char), set()).add(category)
    kinds = {}
    for record in records:
        if record.emoji:
            found = of_emoji.get(key_of_char(record.emoji), set())
        else:
            found = {category_name(tag) for tag in record.tags} & set(reactions)
        if found:
            kinds[record.id] = frozenset(found)
    return kinds


def category_name(text: str) -> str:
    """The spelling of a category in data/reactions.json.

    >>> category_name("Thumbs-Up"), category_name(" happy dance ")
    ('thumbs_up', 'happy_dance')
    """
    return re.sub(r"[\s_-]+", "_", text.strip().lower())


def fitting_by_kind(
    topics: Sequence[Topic], kinds: Mapping[str, frozenset[str]]
) -> dict[str, dict[str, int]]:
    """Return judgements: a GIF fits (grade 1) if the topic's category is one of its kinds."""
    members: dict[str, list[str]] = {}
    for gif_id, categories in kinds.items():
        for category in categories:
            members.setdefault(category, []).append(gif_id)
    return {topic.id: dict.fromkeys(members.get(topic.category, ()), 1) for topic in topics}


def confusion(
    judged: JudgedSet, run: Run, kinds: Mapping[str, frozenset[str]]
) -> dict[str, dict[str, float]]:
    """Return how many topics of each category had a first result of each kind.

    Categories overlap. A first result that is of the category called for counts there alone;
    another counts in equal parts for each of its kinds, or for "" if it has none.
    """
    table: dict[str, dict[str, float]] = {}
    for topic in judged.topics:
        documents = run.get(topic.id)
        if not topic.category or not documents:
            continue
        found = kinds.get(documents[0][0], frozenset({""}))
        counted = {topic.category} if topic.category in found else found
        row = table.setdefault(topic.category, {})
        for kind in counted:
            row[kind] = row.get(kind, 0.0) + 1 / len(counted)
    return table

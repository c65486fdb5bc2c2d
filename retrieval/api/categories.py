"""The reactions by which a library can be looked through, with one GIF for each."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from retrieval.api.gifs import gif_json, media_of
from retrieval.search import Result, Searcher
from retrieval.signals import Reactions
from retrieval.web import translate

LOOKED_AT = 60  # GIFs of each reaction, to find one that no other reaction shows
_lock = threading.Lock()
_examples: weakref.WeakKeyDictionary[Searcher, Mapping[str, Result]] = weakref.WeakKeyDictionary()


def categories_json(searcher: Searcher, language: str) -> dict[str, Any]:
    """All reactions, in the order of their names, each with a GIF that shows it if there is one."""
    examples = kept_examples(searcher)
    titles = {name: translate(language, f"reaction_{name}") for name in Reactions.load().categories}
    return {
        "categories": [
            {
                "name": name,
                "title": titles[name],
                "gif": gif_json(examples[name], searcher, is_ranked=False, has_score=False)
                if name in examples
                else None,
            }
            for name in sorted(titles, key=titles.__getitem__)
        ]
    }


def kept_examples(searcher: Searcher) -> Mapping[str, Result]:
    """`examples_of`, looked up once."""
    with _lock:
        examples = _examples.get(searcher)
        if examples is None:
            examples = _examples[searcher] = examples_of(searcher)
        return examples


def examples_of(searcher: Searcher) -> Mapping[str, Result]:
    """One GIF for each reaction, different ones where possible, the surest choice first."""
    ranked = _ranked(searcher)
    found: dict[str, Result] = {}
    taken: set[str] = set()
    surest_first = sorted(ranked, key=lambda name: -ranked[name][0].score if ranked[name] else 0.0)
    for name in surest_first:
        shown = [r for r in ranked[name] if media_of(r.record, searcher).file]
        free: Iterable[Result] = (r for r in shown if r.record.id not in taken)
        choice = next(iter(free), shown[0] if shown else None)
        if choice:
            found[name] = choice
            taken.add(choice.record.id)
    return found


def _ranked(searcher: Searcher) -> Mapping[str, Sequence[Result]]:
    names = Reactions.load().categories
    if searcher.expressed is not None:
        return {name: searcher.browse(LOOKED_AT, reaction=name, fold=True) for name in names}
    texts = [translate("en", f"reaction_{name}") for name in names]
    vectors = np.asarray(searcher.encoder.encode_text(texts), np.float32)
    return {
        name: searcher.search(vector, LOOKED_AT, fold=True)
        for name, vector in zip(names, vectors, strict=True)
    }

"""Pages of an answer by all signals, where a library is so large that signals nominate GIFs."""

import numpy as np
import pytest

from retrieval.library import SIGNALS
from retrieval.paths import STARTER
from retrieval.search import FUSIONS, Filter, Searcher, Term, browsing, fusion

N_GIFS = 267


@pytest.fixture(scope="module")
def searcher() -> Searcher:
    return Searcher.open(STARTER)


@pytest.fixture
def large(searcher: Searcher, monkeypatch: pytest.MonkeyPatch) -> Searcher:
    """The starter library, searched as if it had many thousand GIFs."""
    monkeypatch.setattr(fusion, "SCORE_ALL", 20)
    monkeypatch.setattr(fusion, "CANDIDATES", 5)
    return searcher


def paged(searcher: Searcher, query, **how) -> list:
    pages, starts = [], [0, 3, 12, 13, 60, 200]
    for start, end in zip(starts, [*starts[1:], 500], strict=True):
        pages += searcher.search(query, end - start, offset=start, **how)
    return pages


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("signals", [SIGNALS, ("frames",), ("names",), ("reaction",)])
@pytest.mark.parametrize("keep", [None, Filter(tags=frozenset({"face"}))])
def test_pages_joined_are_one_long_answer(large: Searcher, fold, signals, keep):
    query = large.understand([Term("I'm so scared right now")])
    how = {"fold": fold, "signals": signals, "keep": keep}
    whole = large.search(query, 500, **how)
    assert paged(large, query, **how) == whole
    assert [result.rank for result in whole] == list(range(1, len(whole) + 1))
    shown = [record.id for r in whole for record in (r.record, *r.folded)]
    allowed = [r for r in large.collection.records if keep is None or "face" in r.tags]
    assert sorted(shown) == sorted(record.id for record in allowed)


@pytest.mark.parametrize("kind", FUSIONS)
def test_pages_joined_are_one_long_answer_of_every_fusion(large: Searcher, kind):
    query = large.understand([Term("thank you")])
    whole = large.search(query, 500, fusion=kind)
    assert paged(large, query, fusion=kind) == whole and len(whole) == N_GIFS


def test_minimum_score_holds_on_every_page(large: Searcher):
    query = large.understand([Term("I'm so scared right now")])
    whole = large.search(query, 500, keep=Filter(min_score=0.01))
    assert paged(large, query, keep=Filter(min_score=0.01)) == whole
    every = large.search(query, 500)
    assert {r.record.id for r in whole} == {r.record.id for r in every if r.score >= 0.01}
    assert 0 < len(whole) < N_GIFS


def test_first_places_are_those_that_all_scores_give(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
):
    query = searcher.understand([Term("I'm so scared right now")])
    exact = searcher.search(query, 5)
    monkeypatch.setattr(fusion, "SCORE_ALL", 20)
    monkeypatch.setattr(fusion, "CANDIDATES", 100)
    assert [r.record.id for r in searcher.search(query, 5)] == [r.record.id for r in exact]


def test_reactions_take_turns_in_a_random_order():
    main = np.repeat([3, 5, 9], [90, 9, 3])
    order = browsing.varied_order(len(main), 1, main)
    assert sorted(order.tolist()) == list(range(len(main)))
    assert [{*main[order[at : at + 3]].tolist()} for at in (0, 3, 6)] == [{3, 5, 9}] * 3
    assert {*main[order[9:21]].tolist()} == {3, 5}
    assert browsing.varied_order(len(main), 1, main).tolist() == order.tolist()
    assert browsing.varied_order(len(main), 2, main).tolist() != order.tolist()

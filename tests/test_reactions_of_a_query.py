"""Which reactions a query asks for, and turning them off or insisting on one; shares of signals."""

import numpy as np
import pytest

from retrieval.errors import QueryError
from retrieval.library import Record
from retrieval.search import Query, Result
from retrieval.signals import Reactions
from retrieval.web.loader import OneThreadEncoder


@pytest.fixture
def query() -> Query:
    """Calls for applause (0.6), a win (0.3) and a shrug (0.1)."""
    probabilities = {"applause": 0.6, "win": 0.3, "shrug": 0.1}
    categories = Reactions.load().categories
    reactions = np.array([probabilities.get(name, 0.0) for name in categories])
    return Query(np.array([1.0, 0.0]), reactions=reactions)


def test_recognised_reactions_come_likeliest_first(query: Query):
    assert list(query.called_for()) == ["applause", "win", "shrug"]
    assert query.called_for(0.5) == {"applause": 0.6}
    assert Query(query.vector).called_for() == {}


def test_removed_reaction_is_zero_and_the_others_keep_their_proportions(query: Query):
    left = query.with_reactions(removed=["applause"])
    assert left.called_for() == pytest.approx({"win": 0.75, "shrug": 0.25}, abs=1e-6)
    assert left.called_for(0)["applause"] == 0
    assert query.called_for()["applause"] == 0.6  # the query itself is unchanged


def test_insisted_reaction_is_the_only_one_even_if_it_was_not_recognised(query: Query):
    for name in ("win", "facepalm"):
        left = query.with_reactions(insisted=[name])
        assert left.called_for(1e-12) == {name: pytest.approx(1)}


def test_query_without_changes_or_reactions_stays_as_it_is(query: Query):
    assert query.with_reactions() is query
    without = Query(query.vector)
    assert without.with_reactions(removed=["win"]) is without


def test_unknown_reactions_and_removing_all_are_rejected(query: Query):
    with pytest.raises(QueryError, match="Unknown reaction 'joy'"):
        query.with_reactions(insisted=["joy"])
    with pytest.raises(QueryError, match="Every reaction is turned off"):
        query.with_reactions(removed=Reactions.load().categories)


def test_shares_are_those_of_the_signals_that_speak_for_a_gif():
    record = Record("0", "a.gif", "a", n_frames=1, duration_ms=0, width=1, height=1)
    signals = {"frames": -1.0, "words": 1.0, "names": 3.0}
    result = Result(1, 0.5, record, "a.gif", (), signals=signals)
    assert list(result.shares.items()) == [("names", 0.75), ("words", 0.25), ("frames", 0.0)]
    assert Result(1, 0.5, record, "a.gif", ()).shares == {}


def test_page_encoder_embeds_sentences_in_its_thread_if_its_encoder_can(encoder):
    import threading

    assert not hasattr(OneThreadEncoder(encoder), "encode_sentences")

    class Sentences(type(encoder)):
        def encode_sentences(self, texts):
            return threading.current_thread().name

    assert OneThreadEncoder(Sentences()).encode_sentences(["hi"]).startswith("encoder")

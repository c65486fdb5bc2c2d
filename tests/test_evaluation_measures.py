"""Measures against values worked by hand, intervals, tests, tables, ablation and plots."""

from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import OutputError, QueryError
from retrieval.evaluation import (
    DocumentNames,
    Evaluation,
    JudgedSet,
    Topic,
    ablate,
    as_markdown,
    chance,
    estimate,
    measure_run,
    randomisation_p,
    search_topics,
    write_plots,
)
from retrieval.evaluation.kinds import confusion
from retrieval.library import Record
from tests.support.judged import CATS, NAMES, PARTY, QRELS, SAD, SAME_B, TOPICS, FakeSearcher

# Measures


def test_measures_equal_values_worked_by_hand():
    qrels = {"a": {"x y": 2, "z": 1}, "b": {"z": 1, "w": 0}, "c": {"z": 1}}
    run = {
        "a": [("z", 3.0), ("n", 2.0), ("x y", 1.0)],
        "b": [("w", 9.0), *((f"n{i}", 8.0) for i in range(5)), ("z", 7.0)],
    }
    values = measure_run(qrels, run)
    assert values["Success@1"].tolist() == [1, 0, 0]
    assert values["Success@5"].tolist() == [1, 0, 0]
    assert values["Success@10"].tolist() == [1, 1, 0]
    assert values["R@10"].tolist() == [1, 1, 0]
    assert values["RR"] == pytest.approx([1, 1 / 7, 0])
    # a: 1/log2(2) + 2/log2(4) = 2, of the ideal 2/log2(2) + 1/log2(3). b: 1/log2(8) of 1.
    ideal = 2 + 1 / np.log2(3)
    assert values["nDCG@10"] == pytest.approx([2 / ideal, 1 / 3, 0])


def test_measures_follow_places_where_scores_are_equal():
    run = {"a": [("b", 1.0), ("z", 1.0), ("c", 1.0)]}
    assert measure_run({"a": {"z": 1}}, run)["RR"].tolist() == [0.5]


def test_interval_contains_the_mean_and_is_reproducible():
    values = np.random.default_rng(3).random(80) < 0.4
    found = estimate(values.astype(float))
    assert found.low < found.mean < found.high and found == estimate(values.astype(float))
    # About ± 1.96 standard errors.
    error = 1.96 * np.sqrt(found.mean * (1 - found.mean) / 80)
    assert (found.high - found.low) / 2 == pytest.approx(error, rel=0.15)
    assert estimate(np.ones(5)) == estimate(np.ones(1))


def test_randomisation_test_tells_equal_runs_from_different_ones():
    values = np.random.default_rng(4).random(40)
    assert randomisation_p(values, values) == 1
    assert randomisation_p(values + 0.3, values) < 0.001
    noise = np.random.default_rng(5).normal(0, 0.1, 40)
    assert randomisation_p(values + noise - noise.mean() + 0.001, values) > 0.5
    # Exact for few topics: of the 8 signs of (1, 1, 1), two are as far from 0.
    assert randomisation_p(np.ones(3), np.zeros(3)) == pytest.approx(0.25)


def test_tables_divide_topics_by_category_and_length():
    topics = (
        Topic("a", "one two three", "win"),
        Topic("b", "one two three four", "no"),
        Topic("c", "w " * 16, "no"),
    )
    judged = JudgedSet("mine", topics, {t.id: {"z": 1} for t in topics})
    evaluation = Evaluation.of(judged, {"a": [("z", 1.0)], "b": [("y", 1.0), ("z", 0.5)]})
    lines = evaluation.by_category()
    assert [(line.label, line.n_topics) for line in lines] == [("no", 2), ("win", 1)]
    assert lines[0].estimates["Success@5"].mean == 0.5
    lengths = [(line.label, line.estimates["RR"].mean) for line in evaluation.by_length()]
    assert lengths == [("1–3 words", 1.0), ("4–8 words", 0.5), ("16 or more words", 0.0)]
    names = DocumentNames([Record(gif_id, "", gif_id) for gif_id in "abcdefghiz"])
    table = as_markdown([evaluation.overall(), chance(judged, names)], "messages").splitlines()
    assert table[0].startswith("| messages | topics | hit@1 | hit@5 | hit@10 | R@10 | RR | nDCG@10")
    assert table[-1] == "| chance | 3 | 10.0 % | 50.0 % | 100.0 % |  |  |  |"


# Searching and ablation


def test_search_passes_on_only_the_options_that_are_given():
    searcher = FakeSearcher()
    run = search_topics(searcher, TOPICS, depth=2)
    assert run["t2"] == [(CATS, 1.0), (SAME_B, 0.5)]
    search_topics(searcher, TOPICS, 2, FakeSearcher.signals)  # all: nothing to say
    search_topics(searcher, TOPICS, 2, ["words"], "rrf")
    assert searcher.asked == [{}, {}, {"signals": ("words",), "fusion": "rrf"}]
    with pytest.raises(QueryError, match=r"No signal colour in this bundle\. It has frames, words"):
        search_topics(searcher, TOPICS, 2, ["colour"])


def test_searcher_without_signals_has_frames_alone():
    class FramesOnly:
        def ask_all(self, messages, top_k):
            return FakeSearcher().ask_all(messages, top_k)

    judged = JudgedSet("mine", TOPICS, QRELS).resolve(NAMES)
    (row,) = ablate(FramesOnly(), judged)
    assert row.line.label == "all signals (frames)" and row.p is None
    with pytest.raises(QueryError, match="one signal, frames: there is no fusion"):
        search_topics(FramesOnly(), TOPICS, 2, fusion="rrf")


def test_ablation_measures_each_signal_alone_each_left_out_and_each_fusion():
    searcher = FakeSearcher()
    judged = JudgedSet("mine", TOPICS, QRELS).resolve(NAMES)
    rows = ablate(searcher, judged)
    assert [row.line.label for row in rows] == [
        "all signals",
        *(f"{name} alone" for name in FakeSearcher.signals),
        *(f"without {name}" for name in FakeSearcher.signals),
        *(f"all signals, {fusion}" for fusion in ("sum", "rrf", "learned")),
    ]
    reciprocal = {row.line.label: row.line.estimates["RR"].mean for row in rows}
    assert reciprocal["names alone"] == pytest.approx((1 + 1 / 2) / 2)  # sad first, party second
    assert reciprocal["without names"] == pytest.approx((1 + 1 / 4) / 2)  # cats first
    assert searcher.asked[5] == {"signals": ("frames", "names")}
    assert rows[0].p is None and rows[1].p == 1


def test_ablation_says_which_signal_cannot_rank():
    class WithoutWords(FakeSearcher):
        def ask_all(self, messages, top_k, **options):
            if options.get("signals") == ("words",):
                raise QueryError("No signal can rank this question.")
            return super().ask_all(messages, top_k, **options)

    rows = ablate(WithoutWords(), JudgedSet("mine", TOPICS, QRELS).resolve(NAMES))
    assert rows[2].line.label == "words alone (cannot rank)"
    assert rows[2].line.estimates["Success@10"].mean == 0


# Plots


def test_confusion_counts_a_first_result_once():
    judged = JudgedSet("mine", TOPICS, QRELS).resolve(NAMES)
    kinds = {SAD: frozenset({"sad", "cry"}), PARTY: frozenset({"dance", "yes"})}
    run = {"t1": [(SAD, 1.0)], "t2": [(PARTY, 1.0)]}
    expected = {"sad": {"sad": 1.0}, "win": {"dance": 0.5, "yes": 0.5}}
    assert confusion(judged, run, kinds) == expected
    assert confusion(judged, {"t2": [(CATS, 1.0)]}, kinds) == {"win": {"": 1.0}}


def test_plots_are_drawn_and_replace_plots_alone(tmp_path: Path):
    judged = JudgedSet("mine", TOPICS, QRELS).resolve(NAMES)
    evaluation = Evaluation.of(judged, {"t1": [(SAD, 0.9), (PARTY, 0.2)], "t2": [(PARTY, 0.7)]})
    kinds = {SAD: frozenset({"sad"})}
    drawn = write_plots(evaluation, kinds, tmp_path / "plots")
    assert [path.name for path in drawn] == [
        "hit-rate-by-category.svg", "confusion.svg", "scores.svg",
    ]  # fmt: skip
    texts = [path.read_text() for path in drawn]
    assert all("</svg>" in text for text in texts) and "fitting (2)" in texts[2]
    assert [p.name for p in write_plots(evaluation, {}, tmp_path / "plots")] == [
        "hit-rate-by-category.svg", "scores.svg",
    ]  # fmt: skip
    assert not (tmp_path / "plots" / "confusion.svg").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.svg").write_text("mine")
    with pytest.raises(OutputError, match="is not a folder of plots"):
        write_plots(evaluation, kinds, tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.svg"]

"""Test collections as files: topics, judgements, runs, and the names of documents."""

import json
from pathlib import Path

import pytest

from retrieval.errors import JudgementError
from retrieval.evaluation import (
    JudgedSet,
    Topic,
    measure_run,
    read_qrels,
    read_run,
    read_topics,
    rename_qrels,
    rename_run,
    resolve_run,
    write_qrels,
    write_run,
    write_topics,
)
from tests.support.judged import (
    CATS,
    NAMES,
    PARTY,
    QRELS,
    RECORDS,
    SAD,
    SAME_B,
    TOPICS,
)

# Topics, judgements and runs as files


def test_topics_round_trip_as_tsv_and_are_read_from_json_lines(tmp_path: Path):
    topics = (*TOPICS, Topic("t3", 'he said "no way"'))
    write_topics(topics, tmp_path / "topics.tsv")
    assert read_topics(tmp_path / "topics.tsv") == topics
    lines = [{"id": "t1", "text": "my cat ran away", "category": "sad"}, {"id": 2, "text": "hi"}]
    (tmp_path / "topics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert read_topics(tmp_path / "topics.jsonl") == (TOPICS[0], Topic("2", "hi"))


def test_qrels_round_trip_with_names_that_contain_spaces(tmp_path: Path):
    write_qrels(QRELS, tmp_path / "qrels.txt")
    assert "t1 0 so sad.gif 2\n" in (tmp_path / "qrels.txt").read_text()
    assert read_qrels(tmp_path / "qrels.txt") == QRELS
    (tmp_path / "tabs.txt").write_text("t1\t0\tso sad.gif\t2\r\n\r\nt1 0 a  b 3.gif -1\r\n")
    assert read_qrels(tmp_path / "tabs.txt") == {"t1": {"so sad.gif": 2, "a  b 3.gif": -1}}


def test_run_round_trips_with_names_that_contain_spaces(tmp_path: Path):
    run = {"t1": [("so sad 2 3.gif", 0.9), ("b.gif", 0.25)], "t2": [("b.gif", -0.5)]}
    write_run(run, tmp_path / "a.run", "my tag")
    first = (tmp_path / "a.run").read_text().splitlines()[0]
    assert first == "t1 Q0 so sad 2 3.gif 1 0.900000 my-tag"
    assert read_run(tmp_path / "a.run") == run


def test_run_keeps_its_order_where_scores_are_equal_or_rise(tmp_path: Path):
    run = {"t": [("c", 0.5), ("a", 0.9), ("b", 0.5), ("d", 0.1)]}
    write_run(run, tmp_path / "a.run", "x")
    expected = [("c", 0.5), ("a", 0.499999), ("b", 0.499998), ("d", 0.1)]
    assert read_run(tmp_path / "a.run") == {"t": expected}


def test_run_is_ordered_by_score_and_then_by_rank(tmp_path: Path):
    lines = ["t Q0 c 3 0.5 x", "t Q0 b 2 0.5 x", "t Q0 a 1 0.7 x", "t Q0 d 4 0.9 x"]
    (tmp_path / "a.run").write_text("\n".join(lines))
    assert [name for name, _ in read_run(tmp_path / "a.run")["t"]] == ["d", "a", "b", "c"]


@pytest.mark.parametrize(
    ("read", "name", "text", "expected"),
    [
        (read_topics, "t.tsv", "a\thi\n\nb hello\n", r"t\.tsv, line 3: expected id<TAB>message"),
        (read_topics, "t.tsv", "a\thi\na\tho\n", "line 2: the id a stands twice"),
        (read_topics, "t.tsv", "a b\thi\n", "line 1: the id 'a b' is empty or contains spaces"),
        (read_topics, "t.tsv", "a\t \n", "line 1: The message is empty"),
        (read_topics, "t.jsonl", '{"id": "a"}\n', r't\.jsonl, line 1: expected {"id"'),
        (read_topics, "t.tsv", "\n", "has no topics in it"),
        (read_qrels, "q.txt", "a 0 x.gif 1\na 0 x.gif\n", r"q\.txt, line 2: expected topic 0"),
        (read_qrels, "q.txt", "a 0 x 1\na 0 x 2\n", "line 2: x has grade 2 for a here, and 1"),
        (read_qrels, "q.txt", "", "has no judgements in it"),
        (read_run, "r.run", "a Q0 x 1 high t\n", r"r\.run, line 1: expected topic Q0 document"),
        (read_run, "r.run", "a Q0 x 1 nan t\n", "line 1: expected topic Q0 document"),
        (read_run, "r.run", "a Q0 x 1 2 t\na Q0 x 2 1 t\n", "line 2: x stands twice for a"),
    ],
)
def test_reader_names_file_and_line_of_what_is_wrong(tmp_path, read, name, text, expected):
    (tmp_path / name).write_text(text)
    with pytest.raises(JudgementError, match=expected):
        read(tmp_path / name)


def test_reader_names_a_file_that_is_absent_or_not_text(tmp_path: Path):
    (tmp_path / "a.gif").write_bytes(b"GIF89a\xff\xfe")
    for path in (tmp_path / "none.txt", tmp_path / "a.gif"):
        with pytest.raises(JudgementError, match=f"{path.name} cannot be read as UTF-8 text"):
            read_qrels(path)


def test_run_and_qrels_replace_files_of_their_kind_alone(tmp_path: Path):
    write_run({"t": [("a", 1.0)]}, tmp_path / "a.run", "x")
    write_run({"t": [("b", 1.0)]}, tmp_path / "a.run", "x")
    assert read_run(tmp_path / "a.run") == {"t": [("b", 1.0)]}
    (tmp_path / "diary.txt").write_text("dear diary\n")
    for write in (lambda p: write_run({}, p, "x"), lambda p: write_qrels({}, p)):
        with pytest.raises(JudgementError, match="is not replaced"):
            write(tmp_path / "diary.txt")
    assert (tmp_path / "diary.txt").read_text() == "dear diary\n"


def test_judged_set_rejects_a_topic_without_fitting_document():
    with pytest.raises(JudgementError, match="Topic t2 of mine has no fitting document"):
        JudgedSet("mine", TOPICS, {"t1": {"a": 1}, "t2": {"a": 0}})


# Names of documents


def test_document_is_found_by_id_file_name_path_and_url():
    assert NAMES.resolve(SAD) == SAD
    assert NAMES.resolve("so sad.gif") == NAMES.resolve("so sad copy.gif") == SAD
    assert NAMES.resolve("deep/so sad copy.gif") == SAD
    assert NAMES.resolve("two cats.gif") == CATS
    assert NAMES.resolve("https://example.com/gifs/two%20cats.gif") == CATS
    assert NAMES.resolve("eep/so sad copy.gif") is None and NAMES.resolve("none.gif") is None


def test_document_name_of_several_gifs_is_rejected():
    with pytest.raises(JudgementError, match=r"same\.gif is the name of 2 different GIFs"):
        NAMES.resolve("same.gif")
    assert NAMES.resolve("b/same.gif") == SAME_B


def test_run_is_written_by_names_that_read_back_to_the_same_gifs():
    run = {"t1": [(r.id, 1 / n) for n, r in enumerate(RECORDS, 1)]}
    named = rename_run(run, NAMES, {"t1": {"so sad copy.gif": 1}})
    assert [name for name, _ in named["t1"]] == [
        "so sad copy.gif", "party.gif", "/gifs/a/same.gif", "/gifs/b/same.gif", "two cats.gif",
    ]  # fmt: skip
    assert resolve_run(named, NAMES) == run
    assert rename_qrels({"t1": {PARTY: 2}}, NAMES) == {"t1": {"party.gif": 2}}


def test_copies_of_a_gif_count_once_in_judgements_and_runs():
    qrels = {"t1": {"so sad.gif": 1, "so sad copy.gif": 2}, "t2": {"party.gif": 1}}
    judged = JudgedSet("mine", TOPICS, qrels).resolve(NAMES)
    assert judged.qrels == {"t1": {SAD: 2}, "t2": {PARTY: 1}}
    run = {"t1": [("party.gif", 0.9), ("so sad copy.gif", 0.8), ("so sad.gif", 0.7)]}
    assert resolve_run(run, NAMES) == {"t1": [(PARTY, 0.9), (SAD, 0.8)]}


def test_judged_document_that_the_bundle_lacks_counts_as_not_found_and_is_noted():
    qrels = {"t1": {"so sad.gif": 1, "gone.gif": 1}, "t2": {"party.gif": 1}}
    judged = JudgedSet("mine", TOPICS, qrels).resolve(NAMES)
    assert judged.notes == ("Judged, but not in the bundle, and so counted as not found (1): "
                            "gone.gif",)  # fmt: skip
    values = measure_run(judged.qrels, {"t1": [(SAD, 1.0)], "t2": [(PARTY, 1.0)]})
    assert values["R@10"].tolist() == [0.5, 1.0]
    with pytest.raises(JudgementError, match="None of the 2 judged documents of mine is in"):
        JudgedSet("mine", TOPICS, {"t1": {"x": 1}, "t2": {"y": 1}}).resolve(NAMES)

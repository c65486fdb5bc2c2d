"""Votes: appended whole, read back, summarized; collected only with feedback on."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from test_scripts import run, run_json

from retrieval.errors import FeedbackError
from retrieval.paths import ROOT
from retrieval.web import feedback
from retrieval.web.feedback import (
    VOTES,
    Tally,
    Vote,
    question_as_text,
    read_votes,
    save_vote,
    summarize,
)

VOTE = Vote(
    "2026-01-02T03:04:05.000006+00:00",
    "so tired", "ab12", "yawning face", 1, 0.4, True, "f" * 64, "starter", "mean",
)  # fmt: skip


def votes(*fits: bool) -> list[Vote]:
    """One vote per second, at ranks 1, 2, …"""
    return [
        replace(VOTE, when=f"2026-01-02T03:04:{n:02}.000000+00:00", rank=n, fits=fit)
        for n, fit in enumerate(fits, 1)
    ]


def test_saved_votes_are_read_back_equal_and_the_file_is_private(tmp_path: Path):
    quoted = replace(VOTE, message='chat:\n"so" tired 😴\u2028', fits=False)
    for vote in (VOTE, quoted):
        save_vote(tmp_path / "a" / "b", vote)
    kept = read_votes(tmp_path / "a" / "b")
    assert kept.votes == [VOTE, quoted] and not kept.damaged
    file = tmp_path / "a" / "b" / VOTES
    assert file.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line) for line in file.read_text().split("\n")[:-1]] == [
        asdict(VOTE), asdict(quoted),
    ]  # fmt: skip


def test_last_line_of_a_changed_answer_counts_and_other_voters_keep_theirs(tmp_path: Path):
    another = replace(VOTE, when="2026-01-02T03:04:06.000000+00:00")
    changed = replace(VOTE, fits=False)
    for vote in (VOTE, another, changed):
        save_vote(tmp_path, vote)
    assert read_votes(tmp_path).votes == [another, changed]


WRITER = """
import sys
from pathlib import Path
from retrieval.web.feedback import Vote, save_vote
for n in range(50):
    message = sys.argv[2] + " long" * (1 + 400 * (n % 2))
    save_vote(Path(sys.argv[1]), Vote("", message, "", "", n + 1, 0.0, True, "", "", ""))
"""


def test_twenty_concurrent_processes_append_whole_lines(tmp_path: Path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    people = [subprocess.Popen([*command, str(p)], cwd=ROOT) for p in range(20)]
    assert [person.wait(60) for person in people] == [0] * 20
    lines = (tmp_path / VOTES).read_text().splitlines()
    ranks: dict[str, list[int]] = {}
    for line in lines:
        vote = json.loads(line)
        ranks.setdefault(vote["message"].split()[0], []).append(vote["rank"])
    assert ranks == {str(p): list(range(1, 51)) for p in range(20)}


def test_save_vote_at_max_bytes_raises_with_the_command_that_helps(tmp_path: Path, monkeypatch):
    save_vote(tmp_path, VOTE)
    full = (tmp_path / VOTES).stat().st_size
    monkeypatch.setattr(feedback, "MAX_BYTES", 2 * full)
    save_vote(tmp_path, VOTE)
    with pytest.raises(FeedbackError, match=r"is the most it may have.*: mv .*votes\.jsonl "):
        save_vote(tmp_path, VOTE)
    assert (tmp_path / VOTES).stat().st_size == 2 * full
    (tmp_path / VOTES).rename(tmp_path / "old.jsonl")
    save_vote(tmp_path, VOTE)
    assert len(read_votes(tmp_path).votes) == 1


def test_unwritable_folder_raises_with_its_path_the_reason_and_the_remedy(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    for data, reason in (
        (tmp_path / "file", "File exists"),
        (tmp_path / "file" / "x", "Not a dir"),
    ):
        with pytest.raises(FeedbackError, match=f"in {data} \\({reason}.*Set REACTION_DATA to"):
            save_vote(data, VOTE)


def test_vote_that_does_not_fit_on_the_disk_leaves_no_partial_line(tmp_path: Path, monkeypatch):
    save_vote(tmp_path, VOTE)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:20]))
    with pytest.raises(FeedbackError, match=r"20 of 2.. bytes fit on the disk"):
        save_vote(tmp_path, VOTE)
    assert read_votes(tmp_path).votes == [VOTE] and not read_votes(tmp_path).damaged


def test_damaged_last_line_is_reported_and_the_next_vote_is_intact(tmp_path: Path):
    save_vote(tmp_path, VOTE)
    with (tmp_path / VOTES).open("a") as file:
        file.write('{"when": "2026-01-')
    kept = read_votes(tmp_path)
    assert kept.votes == [VOTE]
    assert re.search(r"votes\.jsonl, line 2 is no vote \(Unterminated string", kept.damaged[0])
    after = replace(VOTE, message="thank you")
    save_vote(tmp_path, after)
    assert read_votes(tmp_path) == feedback.VoteLog([VOTE, after], kept.damaged)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[]", "no JSON object"),
        (json.dumps(asdict(VOTE) | {"fits": "yes"}), "fits is 'yes'; expected bool"),
        (json.dumps(asdict(VOTE) | {"rank": True}), "rank is True; expected int"),
        (json.dumps({"when": "now"}), "message is None; expected str"),
    ],
)
def test_invalid_line_is_reported_with_its_reason(tmp_path: Path, line, reason):
    (tmp_path / VOTES).write_text(f"{line}\n")
    kept = read_votes(tmp_path)
    assert not kept.votes and kept.damaged == [f"{tmp_path / VOTES}, line 1 is no vote ({reason})."]


def test_question_as_text_joins_messages_and_notes():
    assert question_as_text(["any news?", "I got the job!"]) == "any news?\nI got the job!"
    assert question_as_text(picture=True) == "(a picture)"
    assert question_as_text() == ""


def test_summary_equals_counts_worked_by_hand():
    cast = votes(True, False, True)
    cast += [replace(vote, message="hi", bundle="mine") for vote in votes(False, False)]
    cast += [replace(VOTE, message="yes!")]
    summary = summarize(cast)
    assert summary.total == Tally({}, 6, 3) and summary.total.share == 0.5
    assert summary.by_rank == [
        Tally({"rank": 1}, 3, 2), Tally({"rank": 2}, 2, 0), Tally({"rank": 3}, 1, 1),
    ]  # fmt: skip
    how = {"fingerprint": "f" * 64, "pooling": "mean"}
    assert summary.by_search == [
        Tally({"bundle": "starter", **how}, 4, 3), Tally({"bundle": "mine", **how}, 2, 0),
    ]  # fmt: skip
    assert summary.worst == [Tally({"message": "hi"}, 2, 0), Tally({"message": "so tired"}, 3, 2)]
    many = [replace(VOTE, message=str(n), fits=False) for n in range(12)]
    assert len(summarize(many).worst) == feedback.WORST
    assert summarize([]).total.share == 0


def test_feedback_command_prints_the_summary(tmp_path: Path):
    for vote in votes(True, False, False):
        save_vote(tmp_path, replace(vote, message="so \x1b[31mtired"))
    with (tmp_path / VOTES).open("a") as file:
        file.write("{")
    done = run("feedback", "--data", tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("3 votes, 33.3 % fit\n")
    assert "starter  ffffffffffff  mean" in done.stdout
    assert "so  [31mtired" in done.stdout and "\x1b" not in done.stdout
    assert "Warning: " in done.stderr and "line 4 is no vote" in done.stderr

    (summary,) = run_json("feedback", "--data", tmp_path)
    assert (summary["n_votes"], summary["n_fit"], summary["n_damaged"]) == (3, 1, 1)
    assert summary["by_rank"][0] == {"rank": 1, "n_votes": 1, "n_fit": 1, "share": 1.0}
    assert summary["worst"][0]["message"] == "so \x1b[31mtired"

    none = run("feedback", "--data", tmp_path / "none")
    assert none.returncode == 1 and "REACTION_FEEDBACK=on" in none.stderr
    assert "Traceback" not in none.stderr

"""Votes: appended whole, read back, summarized; collected only with feedback on."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from streamlit.testing.v1 import AppTest
from tests.test_app import loaded
from test_scripts import run, run_json

from retrieval.errors import FeedbackError
from retrieval.library.manifest import read_manifest
from retrieval.paths import ROOT, STARTER
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
from retrieval.web.translations import translate
from tests.support.browser import chromium
from tests.support.server import serving

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


@pytest.mark.parametrize("setting", ["", "on"])
def test_page_asks_for_votes_only_with_feedback_on(setting: str, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("REACTION_FEEDBACK", setting)
    monkeypatch.setenv("REACTION_DATA", str(tmp_path / "data"))
    page = loaded(AppTest.from_file(str(ROOT / "app.py"), default_timeout=120))
    page.text_input(key="q").input("so tired").run()
    captions = [caption.value for caption in page.caption]
    next(b for b in page.button if b.key.startswith("why-")).click().run()
    captions += [caption.value for caption in page.caption]
    asks = [translate("en", "fits_where") in captions, translate("en", "fits_kept") in captions]
    asks.append(any(group.label == translate("en", "fits") for group in page.button_group))
    assert asks == [bool(setting)] * 3 and not page.exception
    assert not (tmp_path / "data").exists()  # nothing is stored before a vote


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, Path]]:
    """A browser page on a server with feedback on, and the folder of its votes."""
    data = tmp_path_factory.mktemp("feedback") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REACTION_FEEDBACK", "on")
        patch.setenv("REACTION_DATA", str(data))
        with serving() as server, chromium() as browser:
            page = browser.new_page(viewport={"width": 390, "height": 900}, base_url=server.address)
            page.set_default_timeout(30_000)
            expect.set_options(timeout=30_000)
            yield page, data


def open_details(page: Page, nth: int = 0) -> Locator:
    """Open the details of the nth card."""
    page.get_by_role("button", name="Why?").nth(nth).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Take it")).to_be_visible()
    return dialog


def answer(dialog: Locator, name: str) -> Locator:
    return dialog.get_by_role("radio", name=name)


def lines(data: Path, n: int) -> list[dict]:
    """The file's lines, once there are n."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (data / VOTES).is_file():
            found = (data / VOTES).read_text().splitlines()
            if len(found) >= n:
                return [json.loads(line) for line in found]
        time.sleep(0.05)
    raise AssertionError(f"{n} lines were expected in {data / VOTES}")


def test_vote_is_appended_and_the_other_answer_replaces_it(served: tuple[Page, Path]):
    page, data = served
    page.goto("/?q=I+got+the+job&not=angry&k=4")
    dialog = open_details(page, 1)
    expect(dialog.get_by_text("Your message is kept with your answer")).to_be_visible()
    expect(dialog.get_by_text("I got the job (not: angry)")).to_be_visible()
    answer(dialog, "Yes").click()
    (vote,) = lines(data, 1)
    title = page.get_by_test_id("stMain").get_by_role("img").nth(1).get_attribute("alt")
    manifest = read_manifest(STARTER)
    expected = {
        "message": "I got the job (not: angry)", "title": title, "rank": 2, "fits": True,
        "fingerprint": manifest.fingerprint, "bundle": "starter", "pooling": manifest.pooling,
    }  # fmt: skip
    assert vote.items() >= expected.items()
    assert set(vote) == {*expected, "when", "gif_id", "score"}
    assert 0 < vote["score"] < 1 and len(vote["gif_id"]) == 64
    when = datetime.fromisoformat(vote["when"])
    assert when.utcoffset() == timedelta(0)

    page.keyboard.press("Escape")
    dialog = open_details(page, 1)  # the stored answer is selected
    expect(answer(dialog, "Yes")).to_be_checked()
    answer(dialog, "No").click()
    assert lines(data, 2) == [vote, vote | {"fits": False}]
    assert [v.fits for v in read_votes(data).votes] == [False]
    page.keyboard.press("Escape")

    page.get_by_role("textbox", name="Write text").fill("I got the job!!")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-test-script-state=notRunning]")
    for nth in range(4):  # another question has no votes yet
        dialog = open_details(page, nth)
        expect(answer(dialog, "No")).not_to_be_checked()
        page.keyboard.press("Escape")
    assert len(lines(data, 2)) == 2


def test_vote_never_stores_a_picture_and_uploads_have_no_votes(served: tuple[Page, Path]):
    page, data = served
    before = len((data / VOTES).read_text().splitlines()) if (data / VOTES).exists() else 0
    media = STARTER / "media"
    page.goto("/?k=4")
    page.get_by_text("Ask in other ways").click()
    other_ways = page.get_by_test_id("stPopoverBody")
    other_ways.locator("input[type=file]").set_input_files(media / "party-popper.gif")
    expect(page.get_by_text("Why?", exact=True)).to_have_count(4)  # closing earlier would abort it
    page.keyboard.press("Escape")
    dialog = open_details(page)
    answer(dialog, "No").click()
    vote = lines(data, before + 1)[-1]
    assert vote["message"] == "(a picture)" and not vote["fits"]
    assert os.listdir(data) == [VOTES]

    page.goto("/?q=so+tired")
    page.get_by_text("Rank my pictures instead").first.click()
    page.locator("input[type=file]").last.set_input_files([media / "party-popper.gif"])
    expect(page.get_by_text("1 of 1 reactions in your pictures")).to_be_visible()
    dialog = open_details(page)
    expect(dialog.get_by_text("Does it fit?")).to_have_count(0)
    expect(page.get_by_text("Say so under")).to_have_count(0)


def test_page_shows_an_error_for_a_vote_that_cannot_be_saved(served: tuple[Page, Path]):
    page, data = served
    aside = data.with_name("aside")
    if data.exists():
        data.rename(aside)
    data.write_text("in the way")
    page.goto("/?q=thank+you&k=4")
    dialog = open_details(page)
    answer(dialog, "Yes").click()
    expect(dialog.get_by_text(f"cannot be kept in {data.name} (")).to_be_visible()
    data.unlink()
    answer(dialog, "No").click()  # succeeds once the folder is writable
    assert not lines(data, 1)[0]["fits"]
    expect(dialog.get_by_text("cannot be kept")).to_have_count(0)

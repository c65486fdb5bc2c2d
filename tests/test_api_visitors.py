"""What visitors send to the API: pictures, votes; and a library that is not open."""

import asyncio
import gc
import io
import json
import shutil
import sys
import threading
from pathlib import Path

import pytest
from conftest import BLUE, GREEN, RED, FakeEncoder, save_gif
from PIL import Image
from starlette.testclient import TestClient

from retrieval.api import visitors
from retrieval.api.held import Held
from retrieval.library import Bundle
from retrieval.paths import STARTER
from retrieval.web import loader, read_votes
from tests.support.api import ROOT, api_app, api_client, loaded, search, titles


def png(colour: tuple[int, int, int], n_more_bytes: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue() + bytes(n_more_bytes)


@pytest.fixture
def client(
    bundle: Bundle, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TestClient:
    """The API over four GIFs, all red; red then blue; green; yellow; votes are collected."""
    monkeypatch.setenv("REACTION_INDEX", str(bundle.path))
    monkeypatch.setenv("REACTION_FEEDBACK", "on")
    monkeypatch.setenv("REACTION_DATA", str(tmp_path / "votes"))
    monkeypatch.setenv("REACTION_MAX_FILES", "3")
    monkeypatch.setenv("REACTION_MAX_TOTAL_MB", "1")
    monkeypatch.setattr(loader, "_latest", {})
    monkeypatch.setattr(loader, "encoder_of", lambda *of: encoder)
    return loaded(api_client())


def send_picture(client: TestClient, data: bytes) -> str:
    response = client.post(f"{ROOT}pictures", content=data)
    assert response.status_code == 200, response.text
    return response.json()["picture"]


def send_own(client: TestClient, name: str, data: bytes, mine: str = "") -> dict:
    parameters = {"name": name, **({"mine": mine} if mine else {})}
    response = client.post(f"{ROOT}mine", params=parameters, content=data)
    return {"status": response.status_code, **response.json()}


def test_library_without_signals_is_ranked_by_frames_with_cosines(client):
    answer = search(client, q="red")
    assert titles(answer)[0] == "a red" and answer["gifs"][0]["score"] == pytest.approx(1)
    assert answer["signals"] == ["frames"] and answer["score"] == "cosine"
    assert answer["reactions"] is None
    red_blue = next(gif for gif in search(client, q="blue")["gifs"] if gif["title"] == "b red blue")
    assert red_blue["animated"] and red_blue["best_frame"] == 1
    assert red_blue["best_frame_ms"] == 100 and red_blue["shares"] == {}
    assert [frame["time_ms"] for frame in red_blue["frames"]] == [0, 100]


def test_reactions_of_a_library_without_signals_are_asked_for_by_name(client):
    answer = search(client, browse="applause")
    assert answer["signals"] == ["frames"] and len(answer["gifs"]) == 4
    assert len(client.get(f"{ROOT}categories").json()["categories"]) == 43
    shuffled = titles(search(client, surprise=5))
    assert sorted(shuffled) == sorted(titles(search(client)))


def test_picture_is_asked_with_and_weighs_as_much_as_it_says(client):
    token = send_picture(client, png(BLUE))
    answer = search(client, picture=token)
    assert titles(answer)[0] == "b red blue" and answer["question"] == "(a picture)"
    both = search(client, picture=token, q="red")
    assert both["question"] == "red (a picture)"
    light = search(client, picture=token, q="red", picture_weight=0.1)
    assert titles(light)[0] == "a red"


def test_forgotten_picture_is_a_problem_with_a_code(client):
    problem = search(client, 410, picture="never-sent")
    assert problem["code"] == "picture_gone" and "Send it again" in problem["detail"]


def test_file_that_is_no_picture_is_a_problem_with_the_reason(client):
    response = client.post(f"{ROOT}pictures", content=b"Dear page")
    assert response.status_code == 422
    assert "The upload cannot be searched with: no picture" in response.json()["detail"]
    assert client.post(f"{ROOT}pictures", content=b"").status_code == 422


def test_own_pictures_are_ranked_instead_of_the_library(client, tmp_path):
    late_blue = save_gif(tmp_path / "x.gif", [GREEN, BLUE]).read_bytes()
    first = send_own(client, "red.png", png(RED))
    gif, mine = first["gif"], first["mine"]
    assert gif["title"] == gif["file_name"] == "red.png" and len(gif["id"]) == 64
    assert gif["file"] is gif["preview"] is gif["thumb"] is gif["still"] is None
    assert send_own(client, "folder/late-blue.gif", late_blue, mine)["mine"] == mine

    answer = search(client, q="blue", mine=mine)
    assert titles(answer) == ["late-blue.gif", "red.png"] and answer["total"] == 2
    assert answer["score"] == "cosine" and answer["question"] == ""  # nothing to vote on
    assert answer["gifs"][0]["best_frame"] == 1
    assert [frame["still"] for frame in answer["gifs"][0]["frames"]] == [None, None]
    assert titles(search(client, mine=mine)) == ["red.png", "late-blue.gif"]

    assert client.delete(f"{ROOT}mine/{mine}").status_code == 204
    assert search(client, 410, q="blue", mine=mine)["code"] == "mine_gone"
    assert send_own(client, "c.png", png(GREEN), mine)["code"] == "mine_gone"


def test_own_file_that_cannot_be_kept_says_why_and_loses_nothing(client):
    mine = send_own(client, "red.png", png(RED))["mine"]
    refused = send_own(client, "letter.txt", b"Dear page", mine)
    assert refused["status"] == 422
    assert refused["detail"].startswith("letter.txt cannot be read: no picture")
    twice = send_own(client, "again.png", png(RED), mine)
    assert (twice["status"], twice["code"]) == (409, "same_bytes")
    assert "again.png: the same bytes as another one" in twice["detail"]
    assert titles(search(client, mine=mine)) == ["red.png"]


def test_own_files_beyond_the_settings_are_refused(client):
    mine = send_own(client, "1.png", png(RED, 600_000))["mine"]
    large = send_own(client, "2.png", png(BLUE, 600_000), mine)
    assert large["status"] == 413 and "have more than 1 MB together" in large["detail"]
    for number, colour in ((2, BLUE), (3, GREEN)):
        assert send_own(client, f"{number}.png", png(colour), mine)["status"] == 200
    fourth = send_own(client, "4.png", png((9, 9, 9)), mine)
    assert "4 files were uploaded; at most 3 are ranked" in fourth["detail"]
    assert len(titles(search(client, mine=mine, fold=0))) == 3


def test_pictures_are_not_held_once_they_were_read(client, monkeypatch):
    seen: list[bytes] = []

    def noting(embed):
        def embed_and_note(*arguments):
            seen.extend(value for value in arguments if isinstance(value, bytes))
            return embed(*arguments)

        return embed_and_note

    for name in ("embed_upload", "embed_file"):
        monkeypatch.setattr(visitors, name, noting(getattr(visitors, name)))
    token = send_picture(client, png(RED, 1_000))
    mine = send_own(client, "red.png", png(RED, 2_000))["mine"]
    gc.collect()
    n_references = {len(data): sys.getrefcount(data) for data in seen}
    # The list, the loop's variable and the argument of getrefcount.
    assert set(n_references) == {len(png(RED, 1_000)), len(png(RED, 2_000))}
    assert max(n_references.values()) <= 3
    assert titles(search(client, picture=token)) and titles(search(client, mine=mine))


def post(path: str, messages: list[dict], app=None) -> tuple[int, dict, int]:
    """POST straight to the app; returns status, JSON, and how many messages it received."""
    sent: list[dict] = []
    n_received = 0

    async def receive() -> dict:
        nonlocal n_received
        n_received += 1
        if n_received > len(messages):
            await asyncio.sleep(60)
        return messages[n_received - 1]

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"name=x.gif",
        "headers": [],
    }
    asyncio.run((app or api_app())(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"]), n_received


def test_body_over_the_limit_is_refused_while_it_is_read(client):
    """Of a body without a declared length: 100 MB in parts, of which 1 MB is allowed."""
    part = {"type": "http.request", "body": bytes(100_000), "more_body": True}
    status, problem, n_received = post(f"{ROOT}mine", [part] * 1_000)
    assert status == 413 and problem["code"] == "too_large"
    assert n_received == 11


def test_work_stops_when_the_visitor_leaves(client, encoder, monkeypatch):
    reading, stopped = threading.Event(), threading.Event()

    def slow(data, searcher, stop):
        reading.set()
        while not stop():
            pass
        stopped.set()
        raise AssertionError("nobody waits for this")

    monkeypatch.setattr("retrieval.api.visitors.embed_upload", slow)
    body = {"type": "http.request", "body": png(RED), "more_body": False}
    status, _, _ = post(f"{ROOT}pictures", [body, {"type": "http.disconnect"}])
    assert reading.is_set() and stopped.wait(10) and status == 503


def test_vote_is_kept_as_the_question_and_what_was_found(client, tmp_path, encoder):
    answer = search(client, q="red", picture=send_picture(client, png(RED)))
    gif = answer["gifs"][0]
    vote = {"question": answer["question"], "gif_id": gif["id"], "fits": True}
    vote |= {"rank": gif["rank"], "score": gif["score"]}
    when = client.post(f"{ROOT}votes", json=vote).json()["when"]
    again = client.post(f"{ROOT}votes", json={**vote, "fits": False, "when": when}).json()
    assert again["when"] == when
    (kept,) = read_votes(tmp_path / "votes").votes  # the last answer counts
    assert (kept.message, kept.title, kept.rank) == ("red (a picture)", "a red", 1)
    assert kept.fits is False and kept.fingerprint == encoder.fingerprint
    assert kept.pooling == "best_frame" and kept.score == pytest.approx(1)
    lines = (tmp_path / "votes" / "votes.jsonl").read_text().splitlines()
    assert len(lines) == 2 and all(len(line) < 1_000 for line in lines)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"question": ""}, "question is ''; expected text"),
        ({"question": "x" * 20_001}, "expected text of 1 to 20,000"),
        ({"rank": 0}, "rank is 0; expected a whole number from 1"),
        ({"rank": True}, "rank is True"),
        ({"score": None}, "score is None; expected a number"),
        ({"fits": "yes"}, "fits is 'yes'; expected true or false"),
        ({"gif_id": "0"}, "gif_id is '0'; expected the id"),
        ({"when": "noon"}, "when is 'noon'"),
    ],
)
def test_invalid_vote_is_refused(client, tmp_path, changes, expected):
    gif_id = search(client)["gifs"][0]["id"]
    vote = {"question": "red", "gif_id": gif_id, "rank": 1, "score": 1, "fits": True}
    response = client.post(f"{ROOT}votes", json={**vote, **changes})
    assert response.status_code == 422 and expected in response.json()["detail"]
    assert client.post(f"{ROOT}votes", content=b"no json").status_code == 422
    assert not (tmp_path / "votes").exists()


def test_votes_are_refused_where_they_are_not_collected(client, tmp_path, monkeypatch):
    from retrieval.web import current_settings

    monkeypatch.delenv("REACTION_FEEDBACK")
    current_settings.cache_clear()
    response = client.post(f"{ROOT}votes", json={})
    assert response.status_code == 403 and "REACTION_FEEDBACK=on" in response.json()["detail"]
    assert not (tmp_path / "votes").exists()


def test_vote_that_cannot_be_kept_is_a_problem_without_a_path(client, tmp_path):
    (tmp_path / "votes").write_text("in the way")
    gif_id = search(client)["gifs"][0]["id"]
    vote = {"question": "red", "gif_id": gif_id, "rank": 1, "score": 1, "fits": True}
    problem = client.post(f"{ROOT}votes", json=vote).json()
    assert "cannot be kept in votes" in problem["detail"]
    assert str(tmp_path) not in problem["detail"]


def test_state_and_searches_say_what_is_loading(bundle, encoder, monkeypatch):
    may_go_on = threading.Event()

    def slow(*of):
        may_go_on.wait(60)
        return encoder

    monkeypatch.setenv("REACTION_INDEX", str(bundle.path))
    monkeypatch.setattr(loader, "_latest", {})
    monkeypatch.setattr(loader, "encoder_of", slow)
    client = api_client()
    state = client.get(f"{ROOT}state").json()
    while state["step"] != "loading_checkpoint":
        state = client.get(f"{ROOT}state").json()
    assert state["text"] == "Loading the checkpoint …" and not state["ready"]
    assert 0 < state["fraction"] < 1 and state["error"] is None
    response = client.get(f"{ROOT}search?q=red&lang=ko")
    assert response.status_code == 503 and response.headers["retry-after"] == "1"
    assert response.json()["code"] == "loading" and response.json()["fraction"] > 0
    assert response.json()["text"] != state["text"]  # Korean
    assert client.get(f"{ROOT}filters").json()["licenses"] == ["unknown"]  # the catalogue is there
    may_go_on.set()
    loaded(client)
    assert client.get(f"{ROOT}state").json()["fraction"] == 1
    assert titles(search(client, q="red"))[0] == "a red"


def broken(folder: Path) -> None:
    shutil.copytree(STARTER, folder)
    (folder / "vectors.faiss").write_bytes(b"not an index")


@pytest.mark.parametrize(
    ("make", "expected"),
    [(lambda folder: None, "No index at"), (broken, "truncated or changed")],
)
def test_library_that_cannot_be_opened_is_said_without_its_path(
    tmp_path, monkeypatch, make, expected
):
    folder = tmp_path / "home of a person" / "gifs"
    folder.parent.mkdir()
    make(folder)
    monkeypatch.setenv("REACTION_INDEX", str(folder))
    monkeypatch.setattr(loader, "_latest", {})
    client = loaded(api_client())
    said = client.get(f"{ROOT}state").json()["error"]
    problem = search(client, 503, q="red")
    assert problem["code"] == "failed" and problem["detail"] == said
    assert expected in said and "--out gifs" in said and "home of a person" not in said


def test_held_forgets_the_least_recently_used_and_what_is_idle():
    now = 0.0
    held: Held[str] = Held(max_held=3, max_bytes=100, idle_s=60, clock=lambda: now)
    tokens = [held.put(name, 10) for name in "abc"]
    assert held.get(tokens[0]) == "a"
    last = held.put("d", 10)  # one too many: b was used least recently
    assert [held.get(token) for token in (*tokens, last)] == ["a", None, "c", "d"]
    held.put("large", 85)  # too many bytes: only d is left beside it
    assert [held.get(token) for token in (*tokens, last)] == [None, None, None, "d"]
    now = 61.0
    assert held.get(last) is None and len(held) == 0
    assert len({held.put("x", 1) for _ in range(3)}) == 3


def test_changes_of_held_values_are_not_lost():
    held: Held[int] = Held()
    token = held.put(0, 1)

    def add() -> None:
        for _ in range(500):
            held.change(token, lambda n: (n + 1, 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held.get(token) == 2_000
    assert held.change("none", lambda n: (n, 1)) is None

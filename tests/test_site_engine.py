"""The search engine of a static site answers as the Python search does, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from conftest import FakeEncoder
from playwright.sync_api import Browser
from starlette.datastructures import QueryParams

from retrieval.api.answers import answer
from retrieval.api.categories import categories_json
from retrieval.api.questions import parse_question
from retrieval.build.build import build_index
from retrieval.encoders import sentence_encoder
from retrieval.evaluation import load_messages, relevant_to
from retrieval.paths import STARTER
from retrieval.search import Searcher, fusion
from retrieval.site import write_data
from tests.support.site_engine import EnginePage, engine_page, write_engine
from tests.support.worded_starter import write_worded_starter

N_MESSAGES = 200
CHAT = "any news?\nI got the job!"
# What differs by design: addresses, and that one frame of each GIF is known.
OWN_FIELDS = {"file", "preview", "thumb", "still", "frames", "best_frame", "best_frame_ms"}


@dataclass(frozen=True)
class Pair:
    """A Python searcher, and the engine over what was exported of it."""

    searcher: Searcher
    engine: EnginePage

    def ask(self, **asked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The answers of both."""
        query = urlencode(asked, doseq=True)
        expected = answer(parse_question(QueryParams(query)), self.searcher)
        (found,) = self.engine.ask([f"search?{query}"])
        assert found["status"] == 200, found
        return expected, found["json"]


def ids(answered: dict[str, Any]) -> list[str]:
    return [gif["id"] for gif in answered["gifs"]]


@pytest.fixture(scope="module")
def searcher() -> Searcher:
    return Searcher.open(STARTER)


@pytest.fixture(scope="module")
def site(searcher: Searcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter's data and the engine."""
    folder = tmp_path_factory.mktemp("site")
    write_data(searcher, folder / "data")
    write_engine(folder)
    return folder


@pytest.fixture(scope="module")
def starter(searcher: Searcher, site: Path, browser: Browser) -> Iterator[Pair]:
    with engine_page(browser, site) as page:
        page.open(searcher.encoder)
        yield Pair(searcher, page)


@pytest.fixture(scope="module")
def worded(
    searcher: Searcher, tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> Iterator[Pair]:
    """GIFs with words in them, ranked as a library that is too large to score all GIFs."""
    folder = tmp_path_factory.mktemp("worded")
    encoder = searcher.encoder
    write_worded_starter(searcher.collection, folder / "bundle", encoder, sentence_encoder(encoder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusion, "SCORE_ALL", 40)
        patch.setattr(fusion, "CANDIDATES", 12)
        large = Searcher.open(folder / "bundle", encoder)
        write_data(large, folder / "data")
        write_engine(folder)
        with engine_page(browser, folder) as page:
            page.open(encoder)
            yield Pair(large, page)


def test_engine_ranks_messages_as_the_python_search_does(starter: Pair) -> None:
    messages = load_messages("test")[:N_MESSAGES]
    queries = [urlencode({"q": m.text, "limit": 10}) for m in messages]
    expected = [answer(parse_question(QueryParams(q)), starter.searcher) for q in queries]
    found = [each["json"] for each in starter.engine.ask([f"search?{q}" for q in queries])]
    shares = [
        len({*ids(a)} & {*ids(b)}) / len(ids(a)) for a, b in zip(expected, found, strict=True)
    ]
    assert np.mean(shares) >= 0.99
    relevant = relevant_to(messages, starter.searcher.collection.records)
    number = starter.searcher.collection.records.find
    hits = [
        np.mean(
            [r[[number(i) for i in ids(a)[:5]]].any() for r, a in zip(relevant, of, strict=True)]
        )
        for of in (expected, found)
    ]
    assert hits[0] == pytest.approx(hits[1], abs=0.01)
    scores = [
        abs(a["score"] - b["score"])
        for x, y in zip(expected, found, strict=True)
        for a in x["gifs"]
        for b in y["gifs"]
        if a["id"] == b["id"]
    ]
    assert np.mean(scores) < 0.005


@pytest.mark.parametrize(
    "asked",
    [
        {"q": "so tired"},
        {"q": "so tired", "offset": 30},
        {"q": "so tired", "fold": 0},
        {"q": "so tired", "fusion": "rrf"},
        {"q": "so tired", "fusion": "learned", "offset": 40},
        {"q": "wow great", "not": "party"},
        {"q": "wow great", "off": ["applause", "omg"]},
        {"q": "wow great", "only": "applause"},
        {"q": "no way", "signals": ["names", "words"]},
        {"q": "no way", "min": 0.3},
        {"q": '"no way"'},
        {"q": 'hello "no way" -cat'},
        {"q": "cat -smiling"},
        {"chat": CHAT},
        {"q": "party", "animated": 1, "license": "MIT"},
    ],
    ids=str,
)
def test_engine_answers_a_question_as_the_python_search_does(
    worded: Pair, asked: dict[str, Any]
) -> None:
    expected, found = worded.ask(**asked, limit=10)
    assert len(ids(found)) == len(ids(expected))
    assert len({*ids(found)} & {*ids(expected)}) >= 0.9 * len(ids(expected))
    assert found["signals"] == expected["signals"]
    assert found["empty"] == expected["empty"]
    assert found["question"] == expected["question"]
    assert found["next_offset"] == expected["next_offset"]


def test_engine_shows_a_gif_with_the_fields_of_the_api(worded: Pair) -> None:
    said = next(record for record in worded.searcher.collection.records if record.texts)
    expected, found = worded.ask(q=f'"{said.texts[0].text}"', limit=5)
    there = {gif["id"]: gif for gif in found["gifs"]}
    assert any(gif["words"] for gif in expected["gifs"])
    for gif in expected["gifs"]:
        same = there[gif["id"]]
        assert list(same) == list(gif)
        assert (
            same["words"] is None
            or {**same["words"], "still": gif["words"]["still"]} == gif["words"]
        )
        for name in gif.keys() - OWN_FIELDS - {"score", "shares", "reactions", "words", "rank"}:
            assert same[name] == gif[name], name
        assert same["shares"] == pytest.approx(gif["shares"], abs=0.02)
        assert same["file"] == f"media/{gif['id'][:2]}/{gif['id']}.gif"
        assert same["preview"] == f"rendition/{gif['id'][:2]}/{gif['id']}/200.webp"
        assert same["still"] == f"still/{gif['id'][:2]}/{gif['id']}/200.webp"
        assert [frame["index"] for frame in same["frames"]] == [same["best_frame"]]


def test_engine_browses_filters_and_folds_exactly(worded: Pair) -> None:
    tag = worded.searcher.collection.records[0].tags[0]
    for asked in (
        {"limit": 120},
        {"limit": 120, "fold": 0, "offset": 100},
        {"browse": "applause"},
        {"tag": tag},
        {"tag": [tag, "no such tag"], "browse": "omg"},
        {"license": "CC0-1.0"},
        {"like": worded.searcher.collection.records[7].id[:20]},
    ):
        expected, found = worded.ask(**asked)
        assert ids(found) == ids(expected), asked
        for name in ("total", "next_offset", "empty", "signals", "score", "reactions", "notes"):
            assert found[name] == expected[name], (asked, name)
    folded = next(gif for gif in worded.ask(limit=120)[0]["gifs"] if gif["alike"])
    found = {gif["id"]: gif for gif in worded.ask(limit=120)[1]["gifs"]}[folded["id"]]
    assert found["alike"] == folded["alike"]


def test_surprise_order_has_every_gif_once_and_is_the_same_for_a_seed(worded: Pair) -> None:
    def pages(seed: int) -> list[str]:
        asked = [f"search?surprise={seed}&fold=0&limit=120&offset={at}" for at in (0, 120, 240)]
        return [gif for page in worded.engine.ask(asked) for gif in ids(page["json"])]

    first = pages(7)
    assert sorted(first) == sorted(record.id for record in worded.searcher.collection.records)
    assert pages(7) == first
    assert pages(8) != first
    kinds = worded.searcher.expressed
    assert kinds is not None
    number = worded.searcher.collection.records.find
    main = [int(kinds[number(gif)].argmax()) for gif in first[:20]]
    assert len({*main}) == len(main)  # reactions take turns


def test_engine_reads_what_a_message_says_of_itself(worded: Pair) -> None:
    expected, found = worded.ask(q='"nobody says this"')
    assert "nobody says this" in expected["empty"]
    assert found["empty"] == expected["empty"]
    (refused, unknown, gone, nowhere) = worded.engine.ask(
        ["search?q=x&limit=0", "gifs/0000", "search?q=x&mine=abc", "nowhere"]
    )
    assert (refused["status"], refused["json"]["code"]) == (422, "parameter")
    assert (unknown["status"], unknown["json"]["code"]) == (404, "unknown_gif")
    assert (gone["status"], gone["json"]["code"]) == (410, "mine_gone")
    assert nowhere["status"] == 404
    post = "() => engine.request({path: 'pictures', method: 'POST', body: new Blob(['x'])})"
    answered = worded.engine.page.evaluate(post)
    assert (answered["status"], answered["json"]["code"]) == (422, "no_image_tower")


def test_categories_are_those_of_the_api(starter: Pair) -> None:
    for language in ("en", "ko"):
        expected = categories_json(starter.searcher, language)["categories"]
        (found,) = starter.engine.ask([f"categories?lang={language}"])
        shown = [(c["name"], c["title"], c["gif"] and c["gif"]["id"]) for c in expected]
        assert [
            (c["name"], c["title"], c["gif"] and c["gif"]["id"])
            for c in found["json"]["categories"]
        ] == shown


def test_library_without_signals_is_ranked_by_frames(
    browser: Browser, library: Path, encoder: FakeEncoder, tmp_path: Path
) -> None:
    build_index(library, tmp_path / "bundle", encoder)
    by_frames = Searcher.open(tmp_path / "bundle", encoder)
    write_data(by_frames, tmp_path / "site" / "data")
    write_engine(tmp_path / "site")
    with engine_page(browser, tmp_path / "site") as page:
        page.open(encoder)
        pair = Pair(by_frames, page)
        for asked in (
            {"q": "yellow"},
            {"q": "red", "min": 0.5},
            {"q": "blue", "not": "red"},
            {"q": '"green"'},
            {"q": "red -blue"},
            {"browse": "applause"},
            {"like": by_frames.collection.records[1].id},
        ):
            expected, found = pair.ask(**asked)
            # In eight bits two GIFs of the same score may change places.
            assert {*ids(found)} == {*ids(expected)}, asked
            scores = [gif["score"] for gif in expected["gifs"]]
            assert [gif["score"] for gif in found["gifs"]] == pytest.approx(scores, abs=0.01)
            assert found["signals"] == expected["signals"] == ["frames"]
            assert found["score"] == expected["score"] == "cosine"

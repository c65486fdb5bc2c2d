"""Searching over HTTP, in a library with all signals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from retrieval.renditions import VERSION
from retrieval.signals import Reactions
from retrieval.web import translate
from tests.support.api import ROOT, api_client, loaded, search, titles
from tests.support.signal_bundle import NAMES, WORDS, build_signal_bundle

N_GIFS = len(NAMES) + len(WORDS)
JOB = "I got the job 🎉"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_signal_bundle(tmp_path_factory.mktemp("api"))


@pytest.fixture
def client(built: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("REACTION_INDEX", str(built))
    return loaded(api_client())


@pytest.fixture
def ask(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Search without folding: plain pictures look alike."""
    return lambda **parameters: search(client, **{"fold": 0, **parameters})


def test_message_is_ranked_by_all_signals_with_probabilities(ask):
    answer = ask(q=JOB)
    assert answer["total"] == N_GIFS and answer["score"] == "probability"
    assert answer["signals"] == ["frames", "words", "names", "reaction"]
    assert [gif["rank"] for gif in answer["gifs"]] == list(range(1, N_GIFS + 1))
    assert all(0 <= gif["score"] <= 1 for gif in answer["gifs"])
    assert answer["question"] == JOB and answer["empty"] is None and answer["took_ms"] > 0


def test_gif_has_addresses_relative_to_the_page_and_what_is_known_of_it(ask):
    gif = next(gif for gif in ask(q=JOB)["gifs"] if gif["title"] == "confetti party")
    assert gif["file"] == f"gif/{gif['id']}.png" and gif["bytes"] > 100 and not gif["is_web"]
    assert gif["file_name"] == "confetti-party.png"
    assert gif["preview"] == f"rendition/{gif['id']}/200.webp?v={VERSION}"
    assert gif["thumb"] == f"rendition/{gif['id']}/100.webp?v={VERSION}"
    assert gif["still"] == f"still/{gif['id']}/{gif['best_frame']}/200.webp?v={VERSION}"
    (frame,) = gif["frames"]
    assert frame["still"] == f"still/{gif['id']}/0/100.webp?v={VERSION}"
    assert -1 <= frame["score"] <= 1
    assert (gif["width"], gif["height"]) == (320, 120)
    assert not gif["animated"] and not gif["film"]


def test_answer_says_what_speaks_for_a_gif(ask):
    first = ask(q="nobody got time")["gifs"][0]
    words = first["words"]
    assert words["text"] == "NOBODY GOT TIME" and words["confidence"] > 0.5
    assert words["still"] == f"still/{first['id']}/0/200.webp?v={VERSION}"
    left, top, right, bottom = words["box"]
    assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    assert sum(first["shares"].values()) == pytest.approx(1, abs=0.01)
    assert {"words", "reaction"} <= set(first["shares"])

    party = next(gif for gif in ask(q=JOB)["gifs"] if gif["title"] == "confetti party")
    assert party["reactions"].keys() == {"happy_dance"} and party["expresses"] is True


def test_reactions_are_recognised_and_can_be_turned_off_and_on_again(ask):
    answer = ask(q=JOB)
    assert [reaction["name"] for reaction in answer["reactions"]] == ["happy_dance"]
    both = ask(q="thank you")["reactions"]
    assert [reaction["name"] for reaction in both] == ["thank_you", "thumbs_up"]

    without = ask(q=JOB, off="happy_dance")
    assert without["reactions"] == answer["reactions"]  # still offered, to be turned on again
    ranked = titles(answer)
    assert sorted(titles(without)) == sorted(ranked)
    assert titles(without).index("confetti party") > ranked.index("confetti party")
    assert titles(ask(q=JOB)) == ranked


def test_only_one_reaction_ranks_by_it(ask):
    ranked = titles(ask(q=JOB))
    assert titles(ask(q=JOB, only="facepalm")).index("facepalm") < ranked.index("facepalm")


def test_negative_text_and_chat_change_the_ranking_and_stand_in_the_question(ask):
    answer = ask(q="so tired", not_="angry", chat="any news?\nno")
    assert answer["question"] == "so tired\nany news?\nno (not: angry)"
    assert titles(answer) != titles(ask(q="so tired"))
    scores = [[gif["score"] for gif in ask(q="hi", not_="shrug", not_weight=w)["gifs"]] for w in
              (0, 1)]  # fmt: skip
    assert scores[0] == [gif["score"] for gif in ask(q="hi")["gifs"]] != scores[1]
    assert ask(q="hi", not_="shrug", not_weight=0)["question"] == "hi"


def test_minimum_score_leaves_out_gifs_that_fit_less(ask):
    n_all = len(ask(q="bravo, what a performance")["gifs"])
    some = ask(q="bravo, what a performance", min=0.05)["gifs"]
    assert 0 < len(some) < n_all and all(gif["score"] >= 0.05 for gif in some)
    empty = ask(q="bravo, what a performance", min=1)
    assert empty["gifs"] == [] and "Nothing scores 1.00 or more" in empty["empty"]
    korean = ask(q="bravo, what a performance", min=1, lang="ko")["empty"]
    assert korean == translate("ko", "nothing", min_score=1.0)


def test_quoted_text_must_be_said_and_an_excluded_word_must_not(ask):
    assert titles(ask(q='hurry, "got time" please')) == ["0001"]
    ranked = titles(ask(q="wow, great -party -congratulations"))
    assert len(ranked) == N_GIFS - 2 and "confetti party" not in ranked


def test_required_phrase_that_is_nowhere_is_named(ask):
    nowhere = ask(q='so "no such words" then')
    assert nowhere["gifs"] == [] and "says or is called “no such words”" in nowhere["empty"]
    assert "has all of your quoted text" in ask(q='"got time" and "party"')["empty"]


def test_more_like_this_is_ranked_by_frames_and_starts_with_the_gif(ask):
    gif = ask(q=JOB)["gifs"][3]
    answer = ask(q=JOB, like=gif["id"][:16])
    assert answer["signals"] == ["frames"] and answer["score"] == "cosine"
    assert answer["reactions"] is None and answer["like"]["id"] == gif["id"]
    assert answer["gifs"][0]["id"] == gif["id"]
    assert answer["gifs"][0]["score"] == pytest.approx(1, abs=1e-3)
    assert answer["question"] == f"(like: {gif['title']})"


def test_nothing_asked_is_the_library_in_catalogue_order(ask):
    answer = ask()
    assert titles(answer) == sorted(titles(answer)) and len(answer["gifs"]) == N_GIFS
    assert answer["signals"] == [] and answer["score"] is None and answer["question"] == ""
    gif = answer["gifs"][0]
    assert gif["rank"] is gif["score"] is gif["best_frame"] is None and gif["frames"] == []
    assert gif["still"].startswith(f"still/{gif['id']}/")
    assert titles(ask(q="   ", not_="angry")) == titles(answer)  # nothing to rank by


def test_browsing_a_reaction_shows_gifs_that_express_it_first(ask):
    answer = ask(browse="applause")
    assert "standing ovation applause" in titles(answer)[:2]
    assert answer["signals"] == ["reaction"] and answer["gifs"][0]["rank"] == 1
    assert titles(ask(browse="facepalm"))[0] == "facepalm"
    assert titles(ask(browse="high_five"))[0] == "high five"


def test_surprise_is_the_same_for_the_same_seed_only(ask):
    first, again, other = (titles(ask(surprise=seed)) for seed in (1, 1, 2))
    assert first == again != other and sorted(first) == sorted(other)


FOLD = [{"fold": 0}, {"fold": 1}]
QUESTIONS = [
    {"q": JOB},
    {"q": "nobody got time", "off": "seriously"},
    {"like": True},
    {"browse": "applause"},
    {"surprise": 7},
    {},
]


@pytest.mark.parametrize("fold", FOLD)
@pytest.mark.parametrize("question", QUESTIONS)
def test_pages_joined_are_one_long_answer_in_which_every_gif_comes_once(ask, question, fold):
    if question.get("like"):
        question = {"like": ask()["gifs"][2]["id"]}
    whole = ask(**question, **fold)
    assert whole["next_offset"] is None
    joined, offset = [], 0
    while offset is not None:
        page = ask(**question, **fold, limit=3, offset=offset)
        assert len(page["gifs"]) == 3 or page["next_offset"] is None
        joined += page["gifs"]
        offset = page["next_offset"]
    assert joined == whole["gifs"]
    shown = [gif["id"] for gif in joined]
    shown += [other["id"] for gif in joined for other in gif["alike"]]
    assert len(shown) == len({*shown}) == N_GIFS


def test_page_behind_the_last_one_is_empty_without_an_explanation(ask):
    answer = ask(q=JOB, offset=500)
    assert answer["gifs"] == [] and answer["next_offset"] is None and answer["empty"] is None


def test_filters_narrow_every_kind_of_answer(ask):
    for question in ({"q": JOB}, {"browse": "applause"}, {"surprise": 1}, {}):
        answer = ask(**question, animated=1)
        assert answer["gifs"] == [] and answer["total"] == N_GIFS
        assert answer["empty"] == translate("en", "nothing_filtered")
        assert len(ask(**question, license=["unknown", "MIT"])["gifs"]) == N_GIFS
        assert ask(**question, tag="no such tag")["gifs"] == []


def test_gif_is_found_by_its_id_or_its_first_characters(client, ask):
    gif = ask()["gifs"][1]
    for name in (gif["id"], gif["id"][:10]):
        assert client.get(f"{ROOT}gifs/{name}").json() == gif
    response = client.get(f"{ROOT}gifs/zz")
    assert response.status_code == 404 and "No GIF zz in this library" in response.json()["detail"]


def test_categories_have_titles_in_the_visitors_language_and_different_gifs(client):
    categories = client.get(f"{ROOT}categories").json()["categories"]
    assert {category["name"] for category in categories} == {*Reactions.load().categories}
    assert len({category["gif"]["id"] for category in categories}) == N_GIFS  # all that there are
    by_name = {category["name"]: category for category in categories}
    assert by_name["facepalm"]["gif"]["title"] == "facepalm"
    assert by_name["applause"]["title"] == "applause"
    korean = client.get(f"{ROOT}categories?lang=ko").json()["categories"]
    assert {category["title"] for category in korean} == {
        translate("ko", f"reaction_{name}") for name in by_name
    }


def test_filters_list_what_occurs_in_the_library(client):
    assert client.get(f"{ROOT}filters").json() == {
        "tags": [],
        "licenses": ["unknown"],
        "sources": [],
    }


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"limit": "0"}, "limit is '0'; expected a whole number from 1 to 120"),
        ({"limit": "1.5"}, "limit is '1.5'; expected a whole number"),
        ({"offset": "-1"}, "offset is '-1'; expected a whole number from 0"),
        ({"min": "nan"}, "min is 'nan'; expected a number from 0 to 1"),
        ({"not_weight": "2"}, "not_weight is '2'; expected a number from 0 to 1"),
        ({"picture_weight": "0"}, "picture_weight is '0'; expected a number from 0.1 to 3"),
        ({"surprise": "x"}, "surprise is 'x'; expected a whole number"),
        ({"fold": "yes"}, "fold is 'yes'; expected 0 or 1"),
        ({"only": "joy"}, "only is 'joy'; expected one of agree, applause"),
        ({"off": ["yes", "joy"]}, "off is 'joy'; expected one of"),
        ({"browse": "joy"}, "browse is 'joy'; expected one of"),
        ({"lang": "de"}, "lang is 'de'; expected one of en, ko"),
        ({"q": "-party"}, "only says what must not be there"),
        ({"q": "x" * 3000}, "3,000 characters; at most 2,000"),
    ],
)
def test_wrong_value_is_a_problem_that_says_what_was_expected(client, parameters, expected):
    response = client.get(f"{ROOT}search", params=parameters)
    assert response.status_code == 422 and expected in response.json()["detail"]
    assert response.headers["content-type"] == "application/problem+json"


def test_unknown_gif_to_be_like_is_a_problem_with_a_code(client):
    problem = search(client, 404, like="0123456789abcdef")
    assert problem["code"] == "unknown_gif"
    assert problem["detail"].startswith("No GIF 0123456789ab in this library")


def test_unknown_address_and_wrong_method_are_problems(client):
    assert client.get("/api/v1/serach").json()["status"] == 404
    response = client.post(f"{ROOT}search")
    assert response.status_code == 405 and response.headers["allow"] == "GET, HEAD"

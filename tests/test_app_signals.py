"""The search page over a library with all signals, with AppTest."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from retrieval.paths import ROOT
from retrieval.signals import Reactions
from retrieval.web.translations import LANGUAGES
from retrieval.web.translations import texts as texts_in
from tests.support.signal_bundle import NAMES, WORDS, build_signal_bundle
from tests.test_app import loaded, texts

N_GIFS = len(NAMES) + len(WORDS)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_signal_bundle(tmp_path_factory.mktemp("page"))


@pytest.fixture
def page(built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("REACTION_INDEX", str(built))
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.query_params["fold"] = "false"  # plain pictures look alike
    yield loaded(page)
    assert not page.exception


def ask(page: AppTest, message: str) -> list[str]:
    page.text_input(key="q").input(message).run()
    return ranking(page)


def ranking(page: AppTest) -> list[str]:
    """The titles of the results, in order, without what says how long it took."""
    return texts(page).splitlines()[1:]


def chips(page: AppTest):
    return next(pills for pills in page.pills if pills.label == "This calls for")


def only_reaction(page: AppTest):
    return next(box for box in page.selectbox if box.label == "Only this reaction")


def open_why(page: AppTest, message: str) -> str:
    """Ask, then open the details of the first result; returns their text."""
    ask(page, message)
    before = len(page.text)
    next(b for b in page.button if b.key.startswith("why-")).click().run()
    return "\n".join(text.value for text in page.text[before:])


def test_recognised_reactions_are_chips_that_are_all_on(page: AppTest):
    ask(page, "I got the job 🎉")
    assert chips(page).options == ["celebration"] and chips(page).value == ["happy_dance"]
    ask(page, "thank you")
    assert chips(page).options == ["thank you", "thumbs up"]
    assert chips(page).value == ["thank_you", "thumbs_up"]


def test_turning_a_reaction_off_changes_the_results_and_turning_it_on_restores_them(page: AppTest):
    ranked = ask(page, "I got the job 🎉")
    chips(page).set_value([]).run()
    without = ranking(page)
    assert sorted(without) == sorted(ranked) and without != ranked
    assert without.index("confetti party") > ranked.index("confetti party")
    chips(page).set_value(["happy_dance"]).run()
    assert ranking(page) == ranked


def test_only_this_reaction_ranks_by_it_and_another_message_forgets_it(page: AppTest):
    ranked = ask(page, "I got the job 🎉")
    only_reaction(page).set_value("facepalm").run()
    assert ranking(page).index("facepalm") < ranked.index("facepalm")
    assert chips(page).disabled
    ask(page, "thank you")
    assert only_reaction(page).value is None and not chips(page).disabled


def test_scores_are_probabilities_and_the_line_names_the_signals(page: AppTest):
    ask(page, "I got the job 🎉")
    assert "ranked by frames, words in the picture, names, reaction" in texts(page)
    scores = [bar.proto.text for bar in page.get("progress")]
    assert len(scores) == N_GIFS and all(s.startswith("fits ") and s.endswith(" %") for s in scores)


def test_more_like_this_is_ranked_by_frames_with_a_cosine_and_no_chips(page: AppTest):
    ask(page, "I got the job 🎉")
    next(b for b in page.button if b.key.startswith("more-")).click().run()
    assert texts(page).splitlines()[1].endswith("ranked by frames")
    assert page.get("progress")[0].proto.text == "1.00"
    assert not any(pills.label == "This calls for" for pills in page.pills)


def test_minimum_score_leaves_out_gifs_that_fit_less(page: AppTest):
    n_all = len(ask(page, "bravo, what a performance"))
    page.slider(key="min").set_value(0.05).run()
    assert 0 < len(ranking(page)) < n_all
    page.slider(key="min").set_value(1.0).run()
    assert "Nothing scores 1.00 or more" in page.info[0].value


def test_why_shows_the_reaction_the_shares_and_the_words_with_their_frame(page: AppTest):
    why = open_why(page, "nobody got time")
    assert "Words in the picture: “NOBODY GOT TIME” (frame 0, at 0.0 s, read with " in why
    assert "What speaks for it:" in why
    shares = [bar.proto.text for bar in page.get("progress") if ": " in bar.proto.text]
    names, percent = zip(*(share.rstrip("%").split(": ") for share in shares), strict=True)
    assert "words in the picture" in names and "reaction" in names
    assert 98 <= sum(int(number) for number in percent) <= 102

    why = open_why(page, "I got the job 🎉")
    assert "Your message calls for celebration (" in why


def test_quoted_text_must_be_said_and_an_excluded_word_must_not(page: AppTest):
    assert ask(page, 'hurry, "got time" please') == ["0001"]
    ranked = ask(page, "wow, great -party -congratulations")
    assert len(ranked) == N_GIFS - 2 and "confetti party" not in ranked


def test_required_phrase_that_is_nowhere_is_named(page: AppTest):
    assert ask(page, 'so "no such words" then') == []
    assert "No GIF says or is called “no such words”" in page.info[0].value
    ask(page, '"got time" and "party"')
    assert "No GIF has all of your quoted text" in page.info[0].value


def test_message_of_excluded_words_only_is_an_error(page: AppTest):
    ask(page, "-party")
    assert "only says what must not be there" in page.error[0].value


def test_every_reaction_has_a_name_in_every_language():
    for language in LANGUAGES:
        names = [texts_in(language)[f"reaction_{name}"] for name in Reactions.load().categories]
        assert len({*names}) == 43

"""The page's logic and states, without a browser."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from retrieval.settings import ROOT


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def texts(page: AppTest) -> str:
    return "\n".join(element.value for element in page.text)


def test_the_first_screen_asks_and_shows_no_error(page: AppTest):
    page.run()
    assert page.title[0].value == "Search Reaction GIFs with CLIP"
    assert len(page.pills[0].options) == 6
    assert not page.error and not page.exception and page.info


def test_a_typed_message_is_answered(page: AppTest):
    page.run()
    page.text_input(key="message").input("I'm so scared right now").run()
    assert not page.error and not page.exception
    assert "12 of 267 reactions in starter" in page.caption[0].value
    assert "fear" in texts(page) or "anxious" in texts(page)


def test_an_example_fills_the_box_and_is_answered(page: AppTest):
    page.run()
    page.pills(key="example").set_value("I got the job 🎉").run()
    assert page.text_input(key="message").value == "I got the job 🎉"
    assert "party" in texts(page)


@pytest.mark.parametrize(("message", "expected"), [("x" * 100_000, "100,000 characters")])
def test_a_message_that_cannot_be_searched_is_said_and_the_page_goes_on(
    page: AppTest, message: str, expected: str
):
    page.run()
    page.text_input(key="message").input(message).run()
    assert expected in page.error[0].value and not page.exception
    page.text_input(key="message").input("thank you").run()
    assert not page.error and texts(page)


def test_spaces_alone_are_no_message(page: AppTest):
    page.run()
    page.text_input(key="message").input("   ").run()
    assert page.info and not page.error and not page.exception


def test_a_missing_index_is_said_with_the_command_that_mends_it(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("REACTION_INDEX", str(tmp_path / "nowhere"))
    page.run()
    assert "python scripts/build_index.py" in page.error[0].value and not page.exception
    monkeypatch.delenv("REACTION_INDEX")
    page.run()
    assert not page.error

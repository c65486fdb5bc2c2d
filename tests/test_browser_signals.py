"""The page over a library with all signals, in headless Chromium."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium, visit
from tests.support.server import serving
from tests.support.signal_bundle import build_signal_bundle
from tests.test_browser import ask, pictures, titles


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    bundle = build_signal_bundle(tmp_path_factory.mktemp("browser"))
    with serving(environment={"REACTION_INDEX": str(bundle)}) as server:
        yield server.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with visit(browser, f"{address}?fold=false", request.param, request.node.name) as page:
        yield page


def test_turning_a_chip_off_changes_the_results(page: Page):
    ask(page, "I got the job 🎉")
    chip = page.get_by_role("button", name="celebration", exact=True)
    expect(chip).to_be_visible()
    expect(page.get_by_text("ranked by frames, words in the picture, names")).to_be_visible()
    expect(pictures(page)).to_have_count(12)
    ranked = titles(page)
    chip.click()
    expect(pictures(page).first).not_to_have_attribute("alt", ranked[0])
    expect(pictures(page)).to_have_count(12)
    assert sorted(titles(page)) == sorted(ranked)
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_why_draws_a_box_around_the_words_that_were_read(page: Page):
    ask(page, "nobody got time for this")
    expect(pictures(page)).to_have_count(12)
    assert titles(page)[0] == "0001"
    # By key: a click would miss while pictures load and move the cards.
    page.get_by_role("button", name="Why?", exact=True).first.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Words in the picture: “NOBODY GOT TIME”")).to_be_visible()
    expect(dialog.get_by_text(re.compile(r"^words in the picture: \d+%$"))).to_be_visible()
    still = dialog.get_by_alt_text("NOBODY GOT TIME")
    expect(still).to_be_visible()
    assert "/still/" in (still.get_attribute("src") or "")
    assert still.evaluate("image => image.naturalWidth") > 0
    picture, box = (
        still.bounding_box(),
        still.locator("xpath=following-sibling::div").bounding_box(),
    )
    assert picture and box
    # The words are 26 pixels high in a picture of 120, from 12 of 320 pixels on.
    assert 0 <= box["x"] - picture["x"] < 0.1 * picture["width"]
    assert 0.1 < box["height"] / picture["height"] < 0.5

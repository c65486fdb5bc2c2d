"""Pictures of the visitor, and libraries with hostile titles, in headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import save_gif
from playwright.sync_api import Browser, Page, Route, expect

from retrieval.build import build_index
from retrieval.encoders import load_encoder
from retrieval.paths import ROOT
from tests.support.picker import (
    DESKTOP,
    SIZES,
    act,
    ask,
    box,
    cards,
    chips,
    deliver,
    first_title,
    hold,
    in_place,
    picker,
    remove_chip,
)
from tests.support.server import serving

MEDIA = ROOT / "index" / "starter" / "media"
THREE = [MEDIA / f"{name}.gif" for name in ("party-popper", "nauseated-face", "red-heart")]
HOSTILE = '<img src=x onerror="window.hacked=1"><b>bold</b>'


@pytest.fixture
def address(page_address: str) -> str:
    return page_address


@pytest.fixture(params=list(SIZES))
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    size = SIZES[request.param]
    # A still of one's own picture is a canvas, not the picture that some tests look for.
    with picker(browser, address, size, alone=True, reduced_motion="no-preference") as page:
        yield page


def test_pasted_picture_is_asked_with_shown_as_a_chip_and_back_restores_it(page: Page):
    deliver(page, "paste", [MEDIA / "sleepy-face.gif"])
    expect(chips(page)).to_have_text(["your picture"])
    expect(page.locator(".chips .thumb img")).to_be_visible()
    expect(first_title(page)).to_have_text("sleepy face")
    expect(box(page)).to_have_value("")
    remove_chip(page, "your picture").click()
    expect(box(page)).to_have_value("You're awesome")
    page.go_back()
    expect(chips(page)).to_have_text(["your picture"])
    expect(first_title(page)).to_have_text("sleepy face")


def test_dropped_pictures_are_shown_at_once_and_then_ranked(page: Page, tmp_path: Path):
    letter = tmp_path / "letter.gif"
    letter.write_text("Dear page, I am no picture.")
    held = hold(page, "**/api/v1/mine?**")
    deliver(page, "drop", [*THREE, letter])
    expect(cards(page)).to_have_count(4)  # before the server has read any
    expect(cards(page).locator("img").first).to_be_visible()
    held.release()
    expect(page.get_by_text("letter.gif cannot be read: no picture")).to_be_visible()
    expect(cards(page)).to_have_count(3)
    ask(page, "that is disgusting, I feel sick", "nauseated-face.gif")
    remove_chip(page, "in: your").click()
    expect(cards(page).nth(5)).to_be_visible()


def test_one_unreadable_picture_is_named_and_the_results_stay(page: Page, tmp_path: Path):
    (tmp_path / "letter.gif").write_text("Dear page, I am no picture.")
    deliver(page, "drop", [tmp_path / "letter.gif"])
    expect(page.get_by_text("letter.gif: ")).to_be_visible()
    expect(chips(page)).to_have_count(0)
    expect(box(page)).to_have_value("You're awesome")
    expect(cards(page).first).to_be_visible()


def test_leaving_the_own_pictures_stops_the_reading(page: Page):
    sent: list[str] = []
    held: list[Route] = []
    page.on("request", lambda r: sent.append(r.url) if "/mine" in r.url else None)
    page.route("**/api/v1/mine?**", lambda route: held.append(route))
    deliver(page, "drop", THREE)
    expect(page.get_by_text("Reading your pictures: 0 of 3")).to_be_visible()
    remove_chip(page, "in: your").click()
    expect(page.get_by_text("Reading your pictures")).to_have_count(0)
    expect(cards(page).nth(5)).to_be_visible()
    assert len(sent) == 1  # the second and the third never went out


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile")
    source = folder / "source"
    for number in range(3):
        save_gif(source / f"{number}.gif", [(80 * number, 0, 0), (0, 0, 80 * number)])
    texts = {"title": HOSTILE, "license": HOSTILE, "attribution": HOSTILE, "tags": [HOSTILE]}
    rows = [json.dumps({"file_name": f"{n}.gif", "source": HOSTILE, **texts}) for n in range(3)]
    (source / "metadata.jsonl").write_text("\n".join(rows))
    build_index(
        source, folder / "bundle", load_encoder("mini", runtime="exported"), copy_media=True
    )
    with serving(environment={"REACTION_INDEX": str(folder / "bundle")}) as server:
        yield server.address


def test_markup_of_a_library_is_text_everywhere(browser: Browser, hostile: str):
    with picker(browser, f"{hostile}/?q=hello&fold=0&not=%3Cb%3Ebold", DESKTOP) as page:
        expect(first_title(in_place(page))).to_contain_text("<img src=x")
        expect(chips(page)).to_have_text(["not: <b>bold", "near-duplicates shown"])
        act(page, cards(page).first, "Why:")
        dialog = page.get_by_role("dialog", name="Why this one?")
        expect(dialog.get_by_role("heading", name=HOSTILE)).to_be_visible()
        expect(dialog.locator("dd").filter(has_text=HOSTILE).first).to_be_visible()
        page.keyboard.press("Escape")
        act(page, cards(page).first, "Favourite")
        page.get_by_role("button", name="Narrow it").click()
        page.get_by_label("Tags").select_option(HOSTILE)
        expect(chips(page)).to_contain_text(["tag: <img"])
        page.goto(hostile)
        expect(page.locator(".kept .thumb")).to_have_count(1)
        assert page.locator(".reaction-picker b", has_text="bold").count() == 0
        assert page.evaluate("window.hacked") is None

"""Back, Forward, other pages, chips, what is kept in the browser, and the dialog."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.picker import (
    DESKTOP,
    SIZES,
    act,
    ask,
    box,
    cards,
    chips,
    first_title,
    focused,
    in_place,
    picker,
    remove_chip,
    scroll,
    titles,
    toast,
)


@pytest.fixture
def address(page_address: str) -> str:
    return page_address


@pytest.fixture(params=list(SIZES))
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with picker(browser, address, SIZES[request.param]) as page:
        yield in_place(page)


@pytest.fixture
def desktop(browser: Browser, address: str) -> Iterator[Page]:
    with picker(browser, address, DESKTOP, alone=True) as page:
        yield page


def to_page(page: Page, name: str) -> None:
    """Go to another page by its link in the header, which a phone has in a menu."""
    menu = page.get_by_test_id("stExpandSidebarButton")
    if menu.is_visible():
        menu.click()
    page.get_by_role("link", name=name, exact=True).first.click()


# History -----------------------------------------------------------------------------------------


def test_back_and_forward_restore_question_results_and_place(page: Page):
    entries = page.evaluate("history.length")
    with page.expect_response(re.compile("q=so%20tired")):
        page.keyboard.type("so tired")
    expect(first_title(page)).to_have_text("sleepy face")
    assert page.evaluate("history.length") == entries + 1  # not one for each letter
    ranked = titles(page)
    scroll(page, 300)
    page.wait_for_function("() => history.state.reactionView?.scroll === 300")
    act(page, cards(page).nth(8), "More like this")
    expect(chips(page)).to_contain_text(["like: "])
    expect(box(page)).to_have_value("")  # like and q never mix
    # once the answer is there, which the chip does not wait for
    page.wait_for_function("() => document.querySelector('[data-testid=stMain]').scrollTop === 0")
    page.go_back()
    expect(box(page)).to_have_value("so tired")
    expect(chips(page)).to_have_count(0)
    page.wait_for_function("() => document.querySelector('[data-testid=stMain]').scrollTop === 300")
    scroll(page, 0)
    assert titles(page) == ranked
    page.go_back()
    expect(box(page)).to_have_value("You're awesome")
    page.go_forward()
    expect(first_title(page)).to_have_text("sleepy face")
    page.go_forward()
    expect(chips(page)).to_contain_text(["like: "])


def test_other_pages_and_back_keep_the_question(page: Page):
    ask(page, "so tired", "sleepy face")
    to_page(page, "About")
    expect(page.get_by_text("How to cite")).to_be_visible()
    page.go_back()
    expect(first_title(page)).to_have_text("sleepy face")
    expect(box(page)).to_have_value("so tired")
    to_page(page, "Library")
    expect(page.locator(".reaction-picker .field")).to_have_count(0)
    to_page(page, "Search")
    expect(first_title(page)).to_have_text("sleepy face")
    expect(page).to_have_url(re.compile(r"q=so\+tired"))


def test_permanent_address_opens_the_same(browser: Browser, desktop: Page):
    ask(desktop, "so tired", "sleepy face")
    desktop.locator("#negative").fill("angry")
    expect(chips(desktop)).to_have_text(["not: angry"])
    with picker(browser, desktop.url, DESKTOP) as other:
        expect(chips(in_place(other))).to_have_text(["not: angry"])
        expect(box(other)).to_have_value("so tired")
        assert titles(other) == titles(desktop)


def test_back_closes_the_dialog_and_the_focus_returns(page: Page):
    ask(page, "so tired", "sleepy face")
    requests: list[str] = []
    page.on("request", lambda r: requests.append(r.url) if "/api/" in r.url else None)
    act(page, cards(page).first, "Why:")
    dialog = page.get_by_role("dialog", name="Why this one?")
    expect(dialog.get_by_text("What speaks for it:")).to_be_visible()
    expect(dialog.get_by_text("sleepy face").first).to_be_visible()
    expect(dialog.get_by_text("[object")).to_have_count(0)
    assert not requests  # everything was in the answer
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    page.go_back()
    expect(dialog).to_be_hidden()
    expect(box(page)).to_have_value("so tired")
    act(page, cards(page).first, "Why:")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert focused(page) == "Why: sleepy face"


def test_vote_is_taken_in_the_dialog(desktop: Page):
    ask(desktop, "so tired", "sleepy face")
    act(desktop, cards(desktop).first, "Why:")
    desktop.get_by_role("button", name="Yes", exact=True).click()
    expect(desktop.get_by_text("Thank you. Another answer replaces this one.")).to_be_visible()


def test_unknown_like_says_so_and_can_be_removed(desktop: Page, address: str):
    desktop.goto(f"{address}/?like=0123456789abcdef")
    expect(desktop.get_by_text("No GIF 0123456789ab in this library")).to_be_visible()
    remove_chip(desktop, "like: ").click()
    expect(box(desktop)).to_have_value("You're awesome")
    expect(first_title(desktop)).to_be_visible()


def test_language_keeps_the_question(page: Page):
    ask(page, "so tired", "sleepy face")
    page.get_by_role("radio", name="한국어").click()
    expect(page.locator("html[lang=ko] .reaction-picker h1")).not_to_have_text(
        "Search Reaction GIFs with CLIP"
    )
    expect(box(page)).to_have_value("so tired")
    expect(first_title(page)).to_have_text("sleepy face")
    assert "q=so+tired" in page.url


def test_surprise_differs_each_time_and_back_returns_to_the_one_before(desktop: Page):
    opening = titles(desktop)
    surprise = desktop.locator(".browse").get_by_role("link", name="Surprise me")
    surprise.click()
    expect(first_title(desktop)).not_to_have_text(opening[0])
    one = titles(desktop)
    surprise.click()
    expect(first_title(desktop)).not_to_have_text(one[0])
    assert titles(desktop) != one
    desktop.go_back()
    expect(first_title(desktop)).to_have_text(one[0])
    assert titles(desktop) == one


# Chips -------------------------------------------------------------------------------------------


def test_kind_of_reaction_opens_its_grid_and_its_chip_leads_back(page: Page):
    ask(page, "so tired", "sleepy face")
    page.locator(".browse").get_by_role("link", name="applause").click()
    expect(chips(page)).to_have_text(["applause"])
    expect(first_title(page)).to_have_text("clapping hands")
    expect(cards(page).first.locator(".actions")).not_to_contain_text("0")
    remove_chip(page, "applause").click()
    expect(box(page)).to_have_value("so tired")


def test_every_chip_can_be_removed_by_mouse_and_keyboard_and_the_focus_stays(
    browser: Browser, address: str
):
    asked = "?q=so+tired&not=angry&chat=hello&tag=face&animated=1&min=0.01&fold=0&only=yawn"
    with picker(browser, f"{address}/{asked}", DESKTOP) as page:
        shown = ["chat: hello", "not: angry", "only: yawn", "tag: face"]
        shown += ["Animated only", "score ≥ 0.01", "near-duplicates shown"]
        expect(chips(in_place(page))).to_have_text(shown)
        remove_chip(page, "chat: hello").click()
        expect(chips(page)).to_have_count(6)
        assert focused(page) == "Remove: not: angry"
        for left in range(5, -1, -1):
            page.keyboard.press("Enter")
            expect(chips(page)).to_have_count(left)
        expect(box(page)).to_have_value("so tired")
        expect(page.locator(".reaction").first).to_be_visible()  # those that the message calls for


def test_reaction_that_is_turned_off_changes_the_results_and_on_restores_them(page: Page):
    ask(page, "so tired", "sleepy face")
    ranked = titles(page, 6)
    yawn = page.get_by_role("button", name=re.compile(r"^yawn \d+ %"))
    yawn.click()
    expect(yawn).to_have_attribute("aria-pressed", "false")
    expect(cards(page).nth(1).locator(".title")).not_to_have_text(ranked[1])
    yawn.click()
    expect(cards(page).nth(1).locator(".title")).to_have_text(ranked[1])
    assert titles(page, 6) == ranked


# Kept in the browser -----------------------------------------------------------------------------


def test_taken_and_favourite_gifs_are_a_row_at_the_start_until_they_are_cleared(page: Page):
    ask(page, "so tired", "sleepy face")
    cards(page).first.locator(".take").click()
    expect(toast(page)).to_be_visible()
    act(page, cards(page).nth(1), "Favourite")
    kept = page.get_by_role("region", name="Recent and favourites")
    expect(kept).to_be_hidden()
    bodies: list[str] = []
    page.on(
        "request", lambda r: bodies.append(r.url + (r.post_data or "")) if "/api" in r.url else None
    )
    page.goto(page.url.partition("?")[0])
    expect(kept.get_by_role("button", name="sleepy face")).to_be_visible()
    expect(kept.locator(".favourite")).to_have_count(1)
    assert not any("kept" in body or re.search(r"\w{64}", body) for body in bodies)
    kept.get_by_role("button", name="Clear").click()
    expect(kept).to_be_hidden()
    assert focused(page) == "message"
    assert json.loads(page.evaluate("localStorage['reaction-search-kept']")) == {
        "recent": [],
        "favourites": [],
    }


def test_gif_that_the_library_lost_drops_out_and_one_that_cannot_be_had_now_stays(desktop: Page):
    kept = "localStorage['reaction-search-kept']"
    gone = {"id": "0" * 64, "title": "gone", "thumb": f"rendition/{'0' * 64}/100.webp"}
    held = {"id": "1" * 64, "title": "held", "thumb": "held/100.webp"}
    gifs = [{"width": 1, "height": 1, "file": "gif/x.gif", **gif} for gif in (gone, held)]
    desktop.evaluate(f"gifs => {kept} = JSON.stringify({{recent: gifs, favourites: null}})", gifs)
    desktop.route("**/held/100.webp", lambda route: route.abort())
    desktop.reload()
    desktop.wait_for_function(f"() => JSON.parse({kept}).recent.length === 1")
    assert json.loads(desktop.evaluate(kept))["recent"][0]["title"] == "held"

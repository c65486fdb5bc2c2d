"""The search page in headless Chromium: opening, asking, scrolling, and taking a GIF."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from retrieval.paths import ROOT
from tests.support.picker import (
    DESKTOP,
    FAKE_SHARE_SHEET,
    PHONE,
    SIZES,
    WITHOUT_CLIPBOARD,
    act,
    ask,
    box,
    cards,
    clipboard,
    first_title,
    focused,
    hold,
    in_place,
    keep_screenshot,
    picker,
    scroll,
    titles,
    toast,
)

MEDIA = ROOT / "index" / "starter" / "media"


@pytest.fixture
def address(page_address: str) -> str:
    return page_address


@pytest.fixture(params=list(SIZES))
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with picker(browser, address, SIZES[request.param]) as page:
        yield in_place(page)
        keep_screenshot(page, request.node.name)


@pytest.fixture
def desktop(browser: Browser, address: str) -> Iterator[Page]:
    with picker(browser, address, DESKTOP, alone=True) as page:
        yield page


# Opening -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "first_y", "whole"), [(DESKTOP, 260, 8), (PHONE, 300, 4)])
def test_page_opens_with_gifs_and_the_message_is_replaced_by_typing(
    browser: Browser, address: str, size: tuple[int, int], first_y: int, whole: int
):
    with picker(browser, address, size, reduced_motion="no-preference") as page:
        boxes = [card.bounding_box() for card in in_place(page).locator(".card").all()]
        shown = [b for b in boxes if b and b["y"] + b["height"] <= size[1]]
        assert min(b["y"] for b in shown) <= first_y and len(shown) >= whole
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        expect(box(page)).to_have_value("You're awesome")
        page.keyboard.type("so tired")
        expect(box(page)).to_have_value("so tired")
        expect(first_title(page)).to_have_text("sleepy face")


def test_picker_works_before_streamlit_and_moves_without_losing_what_is_typed(
    browser: Browser, address: str
):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    held = hold(page, "**/static/js/index*")
    page.goto(address, wait_until="commit")
    expect(cards(page).first).to_be_visible()
    page.keyboard.type("so tired")
    expect(first_title(page)).to_have_text("sleepy face")
    page.keyboard.press("Shift+ArrowLeft")
    assert not page.query_selector("[data-testid=stMain]")
    held.release()
    in_place(page)
    assert focused(page) == "message"
    page.keyboard.type("x")  # over the selected letter
    expect(box(page)).to_have_value("so tirex")
    context.close()


def test_box_stays_below_the_header_while_scrolling(page: Page):
    scroll(page, 900)
    header = page.get_by_test_id("stHeader").bounding_box()
    assert header
    top = page.locator(".top").bounding_box()
    assert top and top["y"] == pytest.approx(header["y"] + header["height"], abs=1)


# Asking ------------------------------------------------------------------------------------------


def test_slow_answer_never_replaces_a_newer_one_nor_what_is_typed(desktop: Page):
    slow: list[Route] = []
    desktop.route(re.compile(r"search.*q=thank"), lambda route: slow.append(route))
    with desktop.expect_request(re.compile(r"q=thank%20you")):
        box(desktop).fill("thank you")
    ask(desktop, "so tired", "sleepy face")
    for route in slow:
        try:
            route.continue_()
        except Exception as error:  # the page has given the request up
            assert "closed" in str(error) or "handled" in str(error) or "Invalid" in str(error)
    desktop.wait_for_function("() => new Promise(done => setTimeout(() => done(true), 300))")
    expect(first_title(desktop)).to_have_text("sleepy face")
    expect(box(desktop)).to_have_value("so tired")


def test_enter_asks_at_once(desktop: Page):
    box(desktop).fill("so tired")
    box(desktop).press("Enter")
    expect(first_title(desktop)).to_have_text("sleepy face")
    expect(desktop).to_have_url(re.compile(r"q=so\+tired"))


def test_unreachable_server_is_said_and_the_page_recovers_by_itself(desktop: Page):
    desktop.route("**/api/v1/search**", lambda route: route.abort())
    box(desktop).fill("so tired")
    expect(desktop.get_by_text("The server cannot be reached.")).to_be_visible()
    desktop.unroute("**/api/v1/search**")
    expect(first_title(desktop)).to_have_text("sleepy face")
    expect(desktop.get_by_text("The server cannot be reached.")).to_have_count(0)


def test_refusal_is_shown_and_the_next_question_is_answered(desktop: Page):
    box(desktop).fill("-party")
    expect(desktop.get_by_text("only says what must not be there")).to_be_visible()
    ask(desktop, "so tired", "sleepy face")


def test_loading_shows_its_progress_until_the_library_answers(desktop: Page):
    loading = {"code": "loading", "text": "Loading the checkpoint …", "fraction": 0.4}
    desktop.route("**/api/v1/search**", lambda route: route.fulfill(status=503, json=loading))
    box(desktop).fill("so tired")
    expect(desktop.get_by_role("progressbar", name="Loading the checkpoint …")).to_be_visible()
    desktop.unroute("**/api/v1/search**")
    expect(first_title(desktop)).to_have_text("sleepy face")
    expect(desktop.get_by_role("progressbar")).to_have_count(0)


def test_scrolling_reaches_every_gif_once_and_few_cards_exist_at_a_time(page: Page, address: str):
    search = f"{address}/api/v1/search?q=You%27re+awesome&limit=120"
    expected = [
        gif["title"]
        for offset in (0, 120, 240)
        for gif in page.request.get(f"{search}&offset={offset}").json()["gifs"]
    ]
    seen: dict[int, str] = {}
    for _ in range(150):
        shown = cards(page).evaluate_all(
            "cards => cards.map(c => [+c.getAttribute('aria-posinset'), c.takeButton.title])"
        )
        assert len(shown) < 80
        seen.update({number: title for number, title in shown})
        if len(seen) == len(expected):
            break
        page.get_by_test_id("stMain").evaluate("main => main.scrollBy(0, innerHeight)")
        page.wait_for_function("() => new Promise(done => setTimeout(done, 40, 1))")
    assert [seen[number] for number in sorted(seen)] == expected


# Taking ------------------------------------------------------------------------------------------


def test_one_click_copies_the_link_and_says_so_where_the_eye_is(page: Page):
    card = cards(page).first
    card.locator(".take").click()
    expect(card.get_by_text("Copied")).to_be_visible()
    expect(toast(page)).to_contain_text("works on this computer only")  # it is served here
    link = clipboard(page)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/gif/\w{64}\.gif", link)
    assert page.request.get(link).body()[:6] == b"GIF89a"


def test_toast_offers_the_file_and_it_has_the_original_bytes(page: Page):
    ask(page, "so tired", "sleepy face")
    cards(page).first.locator(".take").click()
    with page.expect_download() as download:
        toast(page).get_by_role("button", name="Download the file").click()
    assert download.value.suggested_filename == "sleepy-face.gif"
    assert download.value.path().read_bytes() == (MEDIA / "sleepy-face.gif").read_bytes()


def test_markdown_and_download_are_on_the_card(page: Page):
    ask(page, "so tired", "sleepy face")
    act(page, cards(page).first, "Copy Markdown")
    expect(toast(page)).to_have_text("Copied as Markdown.")
    assert re.fullmatch(r"!\[sleepy face\]\(http://\S+/gif/\w{64}\.gif\)", clipboard(page))


def test_markdown_of_a_film_is_a_link_and_its_signs_are_escaped(browser: Browser, address: str):
    with picker(browser, address, DESKTOP) as page:

        def with_film(route: Route) -> None:
            answer = route.fetch().json()
            film = {"film": True, "title": "[wow] \\o/", "file": "https://a.example/b_(c).mp4"}
            answer["gifs"][0].update(film)
            route.fulfill(json=answer)

        page.route("**/api/v1/search**", with_film)
        ask(in_place(page), "so tired", "[wow] \\o/")
        act(page, cards(page).first, "Copy Markdown")
        expect(toast(page)).to_be_visible()
        assert clipboard(page) == r"[\[wow\] \\o/](https://a.example/b_%28c%29.mp4)"


def test_copying_works_without_a_secure_context(browser: Browser, address: str):
    with picker(browser, address, DESKTOP, script=WITHOUT_CLIPBOARD) as page:
        in_place(page)
        cards(page).first.locator(".take").click()
        expect(toast(page)).to_contain_text("Copied")
        box(page).fill("")
        page.keyboard.press("Control+V")
        expect(box(page)).to_have_value(re.compile(r"^http://127.0.0.1:\d+/gif/\w{64}\.gif$"))


def test_tap_on_a_phone_opens_the_share_sheet_with_the_file(browser: Browser, address: str):
    with picker(browser, address, PHONE, script=FAKE_SHARE_SHEET) as page:
        ask(in_place(page), "so tired", "sleepy face")
        cards(page).first.locator(".take").tap()
        page.wait_for_function("() => shared.length")
        size = (MEDIA / "sleepy-face.gif").stat().st_size
        file = {"name": "sleepy-face.gif", "type": "image/gif", "bytes": size}
        assert page.evaluate("shared") == [file]


def test_by_keyboard_alone_a_message_an_arrow_and_enter_take_the_first_gif(desktop: Page):
    desktop.keyboard.type("so tired")
    desktop.keyboard.press("ArrowDown")  # at once: the answer is not there yet
    desktop.wait_for_function(
        "() => document.querySelector('.reaction-picker').shadowRoot.activeElement.className"
        " === 'take'"
    )
    assert focused(desktop).startswith("sleepy face")
    desktop.keyboard.press("ArrowRight")
    assert focused(desktop).startswith(titles(desktop)[1])
    desktop.keyboard.press("ArrowLeft")
    desktop.keyboard.press("Enter")
    expect(cards(desktop).first.get_by_text("Copied")).to_be_visible()
    desktop.keyboard.press("Escape")
    assert focused(desktop) == "message"

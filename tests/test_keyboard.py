"""Keys, touch, motion and layout shift: the page for people who do not use a mouse or sight."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.accessibility import focused, layout_shift, record_shifts
from tests.support.browser import TIMEOUT_MS

PICTURES = ".card .take img"
# Chromium decodes moving pictures in software; what tests neither motion nor layout does without.
STILL: dict[str, Any] = {"reduced_motion": "reduce"}


@pytest.fixture
def address(page_address: str) -> str:
    return page_address


def opening(page: Page, address: str) -> Page:
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    page.goto(f"{address}/")
    expect(page.get_by_test_id("stMain").locator(".card").first).to_be_visible()
    page.wait_for_selector("[data-test-script-state=notRunning]")
    return page


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, **STILL)
    yield opening(page, address)
    page.close()


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, **STILL
    )
    yield opening(context.new_page(), address)
    context.close()


def press(page: Page, *keys: str) -> str:
    """Press keys; the name of what has the focus then."""
    for key in keys:
        page.keyboard.press(key)
    return focused(page)


def expect_focus(page: Page, name: str) -> None:
    """The focus comes back a moment after a dialog has closed."""
    deadline_s = time.monotonic() + 5
    while focused(page) != name and time.monotonic() < deadline_s:
        page.wait_for_timeout(20)
    assert focused(page) == name


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press Tab until the focus is on what has this name, or a name that starts so."""
    passed = []
    for _ in range(90):
        passed.append(press(page, key))
        if passed[-1].startswith(name):
            return
    raise AssertionError(f"Tab does not lead to {name!r}, only to {passed}")


def test_box_has_the_focus_and_typing_an_arrow_and_enter_take_a_gif(page: Page):
    assert focused(page) == "Write text you want to get reaction for"
    page.keyboard.type("thank you so much")  # what was there is selected, and replaced
    expect(page.locator("#message")).to_have_value("thank you so much")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # the last letter's answer
    first = press(page, "ArrowDown")
    assert first == page.locator(".card .take").first.get_attribute("aria-label")
    second = press(page, "ArrowRight")
    assert second == page.locator(".card .take").nth(1).get_attribute("aria-label")
    assert press(page, "ArrowLeft") == first
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    assert focused(page) == first
    assert press(page, "ArrowUp") == "Write text you want to get reaction for"


def test_actions_of_a_card_and_its_dialog_by_keys(page: Page):
    card = press(page, "ArrowDown").split(",")[0]
    tab_to(page, f"Why: {card}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert press(page, "Tab")  # stays inside
    assert page.get_by_role("dialog").locator(":focus").count() == 1
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect_focus(page, f"Why: {card}")
    assert press(page, "Escape") == "Write text you want to get reaction for"


def test_chips_are_removed_by_keys_and_the_focus_stays_near(page: Page):
    page.goto(page.url + "?q=thank+you&animated=1&not=sleep")
    expect(page.get_by_role("button", name="Remove: not: sleep")).to_be_visible()
    expect(page.get_by_test_id("stMain").locator(".card").first).to_be_visible()
    tab_to(page, "Remove: not: sleep")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove: not: sleep")).to_have_count(0)
    assert focused(page) == "Remove: Animated only"
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove: Animated only")).to_have_count(0)
    assert focused(page) == page.locator(".reaction").first.text_content()
    page.keyboard.press("Space")
    expect(page.locator(".reaction[aria-pressed=false]")).to_have_count(1)
    assert focused(page) == page.locator(".reaction[aria-pressed=false]").text_content()


def test_panel_is_opened_filled_and_closed_by_keys(page: Page):
    tab_to(page, "Narrow it")
    button = page.get_by_role("button", name="Narrow it")
    expect(button).to_have_attribute("aria-expanded", "false")
    assert press(page, "Enter") == "Close"
    expect(button).to_have_attribute("aria-expanded", "true")
    assert press(page, "Tab") == "Animated only"
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Remove: Animated only")).to_be_visible()
    page.keyboard.press("Escape")
    expect_focus(page, "Narrow it")
    expect(button).to_have_attribute("aria-expanded", "false")


def test_uploads_rows_and_what_was_kept_are_reached_by_keys(page: Page):
    press(page, "ArrowDown", "Enter")  # takes one, which is kept
    page.reload()
    expect(page.locator(".kept .thumb")).to_be_visible()
    expect(page.get_by_test_id("stMain").locator(".card").first).to_be_visible()
    name = str(page.locator(".kept .thumb").get_attribute("aria-label"))
    for each in ("But not", "A picture to react to", "Rank my pictures instead", "Narrow it"):
        tab_to(page, each)
    with page.expect_file_chooser():
        tab_to(page, "Rank my pictures instead", "Shift+Tab")
        page.keyboard.press("Enter")
    for each in ("OMG that is disgusting", "Surprise me", "applause", name, "Clear"):
        tab_to(page, each)
    page.keyboard.press("Enter")
    expect(page.locator(".kept")).to_be_hidden()
    assert focused(page) == "Write text you want to get reaction for"


def test_focused_card_is_not_covered_by_the_box_above(page: Page):
    press(page, "ArrowDown", *["ArrowDown"] * 6, *["ArrowUp"] * 5)
    box = page.locator(".top").bounding_box()
    card = page.locator(".card:focus-within").bounding_box()
    assert box and card and card["y"] >= box["y"] + box["height"]


def test_cards_say_their_place_and_an_answer_is_announced_once(page: Page):
    card = page.locator(".card").nth(4)
    expect(card).to_have_attribute("aria-posinset", "5")
    expect(card).to_have_attribute("aria-setsize", "-1")  # more are fetched as one scrolls
    expect(page.locator(".unseen")).to_contain_text("first: ")  # the opening's
    page.evaluate("""() => {
      window.announced = [];
      const status = document.querySelector(".reaction-picker").shadowRoot.querySelector(".unseen");
      new MutationObserver(() => announced.push(status.textContent))
        .observe(status, {childList: true, characterData: true, subtree: true});
    }""")
    page.keyboard.type("thank you", delay=30)
    page.wait_for_function("() => announced.length")
    page.wait_for_timeout(1_000)  # none follows
    (said,) = page.evaluate("announced")
    assert said.endswith(f"first: {page.locator('.card .title').first.text_content()}")


def test_a_phone_opens_the_actions_and_its_targets_are_large_enough(phone: Page):
    dots = phone.get_by_role("button", name="What to do with it:").first
    expect(dots).to_have_attribute("aria-expanded", "false")
    dots.tap()
    expect(dots).to_have_attribute("aria-expanded", "true")
    expect(phone.get_by_role("button", name="Copy Markdown:").first).to_be_visible()
    sizes = phone.locator("button:visible, input:visible, summary:visible").evaluate_all(
        """(elements) => elements.map((e) => [(e.labels?.[0] ?? e).getBoundingClientRect(), e])
          .filter(([, e]) => e.getRootNode() !== document)
          .filter(([box]) => Math.min(box.width, box.height) < 24)
          .map(([box, e]) => `${e.outerHTML.slice(0, 80)} ${box.width} × ${box.height}`)"""
    )
    # The label of a box lies over it and is no target of its own.
    assert [each for each in sizes if 'type="search"' not in each] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_little_motion_starts_with_stills_that_move_when_focused(
    browser: Browser, address: str, width: int
):
    page = browser.new_page(viewport={"width": width, "height": 800}, reduced_motion="reduce")
    moving = []
    page.on("request", lambda request: moving.append(request.url))
    opening(page, address)
    expect(page.locator(".browse img").nth(5)).to_be_attached()
    sources = page.locator("img").evaluate_all("pictures => pictures.map(p => p.src)")
    assert len(sources) > 20 and all("/still/" in source for source in sources), sources
    assert not [url for url in moving if "/rendition/" in url]  # nor fetched in vain
    expect(page.get_by_role("switch", name="Play GIFs")).not_to_be_checked()
    first = page.locator(PICTURES).first
    page.keyboard.press("ArrowDown")
    assert "/rendition/" in (first.get_attribute("src") or "")
    page.keyboard.press("ArrowRight")
    assert "/still/" in (first.get_attribute("src") or "")
    page.locator(".card").first.hover()
    assert "/rendition/" in (first.get_attribute("src") or "")
    page.get_by_role("switch", name="Play GIFs").check()
    assert "/rendition/" in (page.locator(PICTURES).nth(3).get_attribute("src") or "")
    running = page.evaluate("""() => document.querySelector(".reaction-picker").shadowRoot
      .getAnimations().length""")
    assert running == 0
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", ["", "about", "library"])
def test_nothing_moves_while_a_page_loads(browser: Browser, address: str, path: str, width: int):
    page = browser.new_page(viewport={"width": width, "height": 800})  # with a cold cache
    record_shifts(page)
    page.goto(f"{address}/{path}")
    page.wait_for_selector("[data-test-script-state=notRunning]", timeout=TIMEOUT_MS)
    page.wait_for_load_state("networkidle")
    assert layout_shift(page) < 0.05
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_above_the_gifs_stays_in_place_while_one_types(
    browser: Browser, address: str, width: int
):
    page = browser.new_page(viewport={"width": width, "height": 800})
    record_shifts(page)
    opening(page, address)
    page.wait_for_load_state("networkidle")
    page.keyboard.type("thank you so much for that", delay=40)
    page.wait_for_load_state("networkidle")
    assert layout_shift(page, after_input=True) < 0.05
    page.close()

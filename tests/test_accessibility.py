"""axe-core on every page and state in both themes, and on a phone where the layout differs."""

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from retrieval.paths import ROOT
from tests.support.accessibility import COLOURS, violations
from tests.support.browser import ARTIFACTS, TIMEOUT_MS

MEDIA = ROOT / "index" / "starter" / "media"
WIDTHS = [1280, 390]
LOADING = {"title": "Loading", "code": "loading", "text": "Loading …", "fraction": 0.4}


@pytest.fixture
def address(page_address: str) -> str:
    return page_address


@pytest.fixture(params=WIDTHS, ids=["desktop", "phone"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    size = {"width": request.param, "height": 844}
    # Moving pictures are judged as stills are, and take Chromium twice the time.
    page = browser.new_page(viewport=size, reduced_motion="reduce")
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    yield page
    page.close()


def settled(page: Page) -> None:
    """Wait until Streamlit's script has run and all that it shows is loaded."""
    page.wait_for_selector("[data-test-script-state=notRunning]")
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    page.wait_for_load_state("networkidle")


def answered(page: Page) -> None:
    """Wait until the picker shows pictures."""
    expect(page.locator(".reaction-picker .card").first).to_be_visible()


def ask(page: Page, message: str) -> None:
    page.locator("#message").fill(message)
    page.locator("#message").press("Enter")


def answer_with(page: Page, answer: Callable[[Route], None]) -> None:
    page.route("**/api/v1/search?*", answer)
    ask(page, "anything")


# How a visitor gets to each state, from the opening.


def after_a_query(page: Page) -> None:
    ask(page, "thank you so much")
    expect(page.get_by_text("folded hands").first).to_be_visible()


def with_chips(page: Page) -> None:
    page.goto(f"{page.url}?q=thank+you&not=sleep&only=applause&animated=1&fold=0")
    answered(page)
    expect(page.get_by_role("button", name="Remove: not: sleep")).to_be_visible()


def with_a_note(page: Page) -> None:
    ask(page, "정말 고마워요")
    expect(page.locator(".notes p").first).to_be_visible()


def without_a_result(page: Page) -> None:
    ask(page, '"no picture says this"')
    expect(page.locator(".empty")).to_contain_text("no picture says this")


def while_loading(page: Page) -> None:
    answer_with(page, lambda route: route.fulfill(status=503, body=json.dumps(LOADING)))
    expect(page.get_by_role("progressbar")).to_be_visible()


def unreachable(page: Page) -> None:
    answer_with(page, lambda route: route.abort())
    expect(page.locator(".empty")).to_contain_text("cannot be reached")


def like_another(page: Page) -> None:
    page.locator(".card").first.hover()
    page.get_by_role("button", name="More like this:").first.click()
    expect(page.get_by_role("button", name="Remove: like:")).to_be_visible()


def browsing(page: Page) -> None:
    page.get_by_role("link", name="applause").click()
    expect(page.get_by_role("button", name="Remove: applause")).to_be_visible()


def with_own_pictures(page: Page) -> None:
    files = [MEDIA / f"{name}.gif" for name in ("party-popper", "red-heart")]
    page.locator("input[type=file]").last.set_input_files(files)
    expect(page.get_by_role("button", name="Remove: in: your 2 pictures")).to_be_visible()


def why_is_open(page: Page) -> None:
    page.locator(".card").first.hover()
    page.get_by_role("button", name="Why: ").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Best frame")).to_be_visible()
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")


def filters_are_open(page: Page) -> None:
    page.get_by_role("button", name="Narrow it").click()
    expect(page.get_by_role("combobox", name="Only this reaction")).to_be_visible()


def taken_and_kept(page: Page) -> None:
    """The toast, the actions of a card, and the row of what was taken, all at once."""
    page.locator(".card .take").first.click()
    page.locator(".card .take").first.focus()
    expect(page.locator(".toast.shown")).to_be_visible()
    expect(page.locator(".kept .thumb")).to_have_count(1)
    expect(page.get_by_role("button", name="Download:").first).to_be_visible()


def in_korean(page: Page) -> None:
    page.goto(f"{page.url}?lang=ko")
    answered(page)
    assert page.evaluate("document.documentElement.lang") == "ko"


STATES = {
    "opening": lambda page: None,
    "query": after_a_query,
    "chips": with_chips,
    "note": with_a_note,
    "empty": without_a_result,
    "loading": while_loading,
    "unreachable": unreachable,
    "like": like_another,
    "browse": browsing,
    "own": with_own_pictures,
    "why": why_is_open,
    "filters": filters_are_open,
    "taken": taken_and_kept,
    "korean": in_korean,
}


def assert_accessible(page: Page, name: str) -> None:
    """And nothing is wider than the screen. A theme changes colours, and a width does not."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    page.emulate_media(color_scheme="light")
    found = [f"light: {each}" for each in violations(page)]
    if width == WIDTHS[0]:
        page.emulate_media(color_scheme="dark")
        found += [f"dark: {each}" for each in violations(page, rules=COLOURS)]
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"accessible-{name}-{width}.png")
    assert not found, "\n".join(found)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


# A phone differs in its layout only: the states that it lays out otherwise.
PHONE_STATES = ("opening", "why", "filters", "taken", "own")
CASES = [(WIDTHS[0], state) for state in STATES]
CASES += [(WIDTHS[1], state) for state in STATES if state in PHONE_STATES]


@pytest.mark.parametrize(("page", "state"), CASES, indirect=["page"])
def test_search_page_has_no_violation(page: Page, address: str, state: str):
    if state == "opening":
        page.goto(f"{address}/")
        settled(page)
    else:  # Streamlit's own elements are the same in every state, and take seconds to start
        page.route("**/static/js/**", lambda route: route.abort())
        page.goto(f"{address}/")
    answered(page)
    STATES[state](page)
    assert_accessible(page, state)


def test_picker_has_no_violation_before_streamlit_has_started(page: Page, address: str):
    page.route("**/static/js/**", lambda route: route.abort())
    page.goto(f"{address}/")
    expect(page.locator(".card").first).to_be_visible()
    assert_accessible(page, "early")


OTHER_PAGES = [(WIDTHS[0], "en"), (WIDTHS[1], "ko")]


@pytest.mark.parametrize(("page", "language"), OTHER_PAGES, indirect=["page"])
@pytest.mark.parametrize("name", ["library", "about"])
def test_other_pages_have_no_violation_and_name_their_language(
    page: Page, address: str, name: str, language: str
):
    page.goto(f"{address}/{name}?lang={language}")
    settled(page)
    expect(page.locator(f"html[lang={language}]")).to_be_attached()
    assert_accessible(page, f"{name}-{language}")


@pytest.mark.parametrize("page", WIDTHS[:1], indirect=True)
def test_language_of_the_document_follows_the_choice(page: Page, address: str):
    page.goto(f"{address}/about")
    page.get_by_role("radio", name="한국어").click()
    expect(page.locator("html[lang=ko]")).to_be_attached()


def test_text_over_pictures_has_enough_contrast_over_white(page: Page, address: str):
    """axe-core cannot judge it: below the plate of a card is a picture, at worst a white one."""
    page.goto(f"{address}/")
    answered(page)
    worst = page.locator(".plate, .bar .icon").evaluate_all(
        """(plates) => Math.min(...plates.map((plate) => {
          const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
          const {color, backgroundColor} = getComputedStyle(plate);
          const [r, g, b, alpha = 1] = channels(backgroundColor);
          const linear = (c) => c <= 10.31 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
          const luminance = (rgb) => rgb.slice(0, 3).map(linear)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const below = [r, g, b].map((c) => alpha * c + (1 - alpha) * 255);
          const [dark, light] = [below, channels(color)].map(luminance).sort((a, b) => a - b);
          return (light + 0.05) / (dark + 0.05);
        }))"""
    )
    assert worst >= 4.5


@pytest.mark.parametrize("page", [320], indirect=True)
def test_nothing_is_wider_than_a_screen_of_320_pixels(page: Page, address: str):
    for path in ("", "library", "about"):
        page.goto(f"{address}/{path}")
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320

"""The page of a static site in headless Chromium, over a plain server, with a fake engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from retrieval.site.page import site_config
from retrieval.web import LANGUAGES, page_config
from tests.support.accessibility import focused, violations
from tests.support.fake_site import (
    MODEL,
    SCRIPT_TITLE,
    by_meaning,
    facts,
    loading_line,
    write_fake_site,
)
from tests.support.picker import (
    DESKTOP,
    act,
    ask,
    box,
    cards,
    chips,
    clipboard,
    deliver,
    first_title,
    keep_screenshot,
    picker,
    titles,
    toast,
)
from tests.support.static_server import StaticServer, static_server

BY_NAME = re.compile("ranked by names")
SHOWN_AT = """
document.addEventListener("reaction-shown", () => { window.shownAt ??= performance.now(); });
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the site below a path, as on GitHub Pages."""
    folder = tmp_path_factory.mktemp("host")
    write_fake_site(folder / "repo")
    return folder


@pytest.fixture
def server(root: Path) -> Iterator[StaticServer]:
    with static_server(root) as server:
        yield server


@pytest.fixture
def address(server: StaticServer) -> str:
    return f"{server.address}/repo/"


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with picker(browser, address, DESKTOP) as page:
        by_meaning(page)
        yield page


# Loading -----------------------------------------------------------------------------------------


def test_results_come_by_name_and_by_meaning_once_the_model_has_loaded(
    browser: Browser, server: StaticServer, address: str
):
    server.hold(MODEL)
    with picker(browser, address, DESKTOP, script=SHOWN_AT) as page:
        assert page.evaluate("shownAt") < 1_000
        expect(facts(page)).to_contain_text(BY_NAME)
        expect(loading_line(page)).to_contain_text("1.5 of 3.0 MB")
        bar = loading_line(page).locator("progress")
        assert bar.evaluate("bar => bar.value") == pytest.approx(0.5)
        ask(page, "so tired", "tired face")
        page.keyboard.press("Shift+ArrowLeft")
        server.release(MODEL)
        expect(first_title(page)).to_have_text("sleepy face")
        expect(loading_line(page)).to_be_hidden()
        page.keyboard.type("x")  # over the selected letter: what is typed was left alone
        expect(box(page)).to_have_value("so tirex")


def test_results_that_are_being_used_stay_until_the_visitor_wants_others(
    browser: Browser, server: StaticServer, address: str
):
    server.hold(MODEL)
    with picker(browser, address, DESKTOP) as page:
        ask(page, "so tired", "tired face")
        page.keyboard.press("ArrowDown")
        server.release(MODEL)
        expect(loading_line(page)).to_contain_text("by meaning are ready")
        assert titles(page)[0] == "tired face" and "tired face" in focused(page)
        page.get_by_role("button", name="Show them").click()
        expect(first_title(page)).to_have_text("sleepy face")
        expect(loading_line(page)).to_be_hidden()


def test_model_that_fails_says_so_and_leaves_the_search_by_name(
    browser: Browser, server: StaticServer, address: str
):
    server.broken.add(MODEL)
    with picker(browser, address, DESKTOP) as page:
        expect(loading_line(page)).to_contain_text("Failed: HTTP 503")
        expect(loading_line(page).locator("progress")).to_be_hidden()
        ask(page, "so tired", "tired face")
        server.broken.clear()
        page.get_by_role("button", name="Try again").click()
        by_meaning(page)
        expect(loading_line(page)).to_be_hidden()


def test_library_that_fails_can_be_tried_again(
    browser: Browser, server: StaticServer, address: str
):
    server.broken.add("repo/data/answers.json")
    page = browser.new_page()
    page.goto(address)
    expect(page.locator(".empty")).to_contain_text("Failed:")
    server.broken.clear()
    page.get_by_role("button", name="Try again").click()
    by_meaning(page)
    page.close()


def test_browser_that_cannot_run_the_engine_is_told_so(
    browser: Browser, server: StaticServer, address: str, root: Path
):
    (worker,) = root.glob("repo/page/*/worker.js")
    server.broken.add(str(worker.relative_to(root)))
    page = browser.new_page()
    page.goto(f"{address}?lang=ko")
    expect(loading_line(page)).to_contain_text("이 브라우저에서 검색을 실행하지 못했습니다")
    page.close()


# The parts of the page ---------------------------------------------------------------------------


def test_address_holds_the_question_and_back_leads_to_the_one_before(page: Page, address: str):
    ask(page, "so tired", "sleepy face")
    assert page.url == f"{address}?q=so+tired"
    page.get_by_role("button", name="I got the job").click()
    expect(page).to_have_url(re.compile(r"\?q=I\+got\+the\+job"))
    page.go_back()
    expect(first_title(page)).to_have_text("sleepy face")
    page.reload()
    expect(box(page)).to_have_value("so tired")
    expect(first_title(page)).to_have_text("sleepy face")


def test_language_is_changed_in_place_and_remembered(page: Page, address: str):
    ask(page, "so tired", "sleepy face")
    page.get_by_role("link", name="한국어").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(box(page)).to_have_value("so tired")
    expect(page.get_by_role("link", name="내 정보와 라이선스")).to_be_visible()
    expect(first_title(page)).to_have_text("sleepy face")
    assert focused(page) == "한국어" and "lang=ko" in page.url
    page.goto(address)
    expect(page).to_have_title(page_config("ko")["texts"]["title"])
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("link", name="Your data and licences")).to_be_visible()


def test_panel_has_an_address_and_says_whose_gifs_these_are(page: Page, address: str):
    ask(page, "so tired", "sleepy face")
    page.get_by_role("link", name="Your data and licences").click()
    panel = page.get_by_role("dialog", name="Your data and licences")
    expect(panel).to_contain_text("Fluent Emoji, © Microsoft Corporation")
    for text in ("Nothing that you type", "267 GIFs", "0.975", "Apache-2.0", "onnxruntime-web"):
        expect(panel).to_contain_text(text)
    assert page.url == f"{address}?q=so+tired&about=1"
    page.go_back()
    expect(panel).to_be_hidden()
    page.go_forward()
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page).to_have_url(f"{address}?q=so+tired")
    page.goto(f"{address}?about=1")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(address)


def test_keyboard_asks_and_copies_the_gifs_address_on_this_site(page: Page, address: str):
    page.keyboard.type("so tired")
    expect(first_title(page)).to_have_text("sleepy face")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(toast(page)).to_contain_text("Copied")
    copied = clipboard(page)
    assert re.fullmatch(re.escape(address) + r"media/(\w\w)/\1\w+\.gif", copied)
    assert page.request.get(copied).body()[:4] == b"GIF8"


def test_why_says_what_speaks_for_a_gif_without_a_strip_of_frames(page: Page):
    act(page, cards(page).first, "Why")
    why = page.get_by_role("dialog", name="Why this one?")
    expect(why).to_contain_text("What speaks for it")
    expect(why).to_contain_text("MIT")
    expect(why.locator(".frames")).to_have_count(0)
    expect(why.get_by_text("Does it fit?")).to_have_count(0)  # no server would keep the answer
    page.go_back()
    expect(why).to_be_hidden()


def test_more_like_this_reactions_and_play_work_as_on_the_server(page: Page):
    act(page, cards(page).nth(1), "More like this")
    expect(chips(page)).to_contain_text(["like:"])
    page.get_by_role("link", name="applause").click()
    expect(chips(page)).to_have_text(["applause"])
    first = cards(page).first.locator("img")
    expect(first).to_have_attribute("src", re.compile("/still/"))  # this visitor wants less motion
    page.get_by_role("switch", name="Play GIFs").click()
    expect(first).to_have_attribute("src", re.compile("/rendition/"))


def test_title_with_markup_is_text_and_the_policy_stops_scripts(page: Page):
    box(page).fill("thank you")
    expect(cards(page).nth(1).locator(".title")).to_have_text(SCRIPT_TITLE)
    act(page, cards(page).nth(1), "Why")
    expect(page.get_by_role("dialog")).to_contain_text("THANK <b>YOU</b>")
    page.evaluate(
        "() => document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'document.title = \"run\"'}))"
    )
    assert page.title() != "run"


def test_pictures_are_taken_only_if_the_engine_embeds_them(
    browser: Browser, address: str, root: Path
):
    gif = next(root.glob("repo/media/*/*.gif"))
    for takes in (False, True):
        context = browser.new_context(service_workers="block")
        page = context.new_page()
        html = (root / "repo" / "index.html").read_text()
        html = html.replace('"pictures": false', f'"pictures": {json.dumps(takes)}')
        page.route(address, serve_instead(html))
        page.goto(address)
        by_meaning(page)
        deliver(page, "paste", [gif])
        expect(page.get_by_role("button", name="A picture to react to")).to_have_count(int(takes))
        expect(chips(page)).to_have_count(int(takes))
        context.close()


def serve_instead(html: str) -> Callable[[Route], None]:
    return lambda route: route.fulfill(body=html, content_type="text/html")


@pytest.mark.parametrize(("scheme", "size"), [("light", (1280, 500)), ("dark", (390, 500))])
def test_accessibility_of_every_state(
    browser: Browser, server: StaticServer, address: str, scheme: str, size: tuple[int, int]
):
    # Low windows: axe takes half a second for each dozen GIFs.
    def why(page: Page) -> None:
        act(page, cards(page).first, "Why")

    def panel(page: Page) -> None:
        page.get_by_role("link", name="Your data and licences").click()
        expect(page.get_by_role("cell", name="MIT")).to_be_visible()

    server.hold(MODEL)
    name = f"site-{size[0]}"
    with picker(browser, address, size, color_scheme=scheme, service_workers="block") as page:
        expect(loading_line(page)).to_contain_text("1.5 of 3.0 MB")
        found = {"loading": judged(page, f"{name}-loading")}
        server.release(MODEL)
        by_meaning(page)
        found["opening"] = judged(page, f"{name}-opening")
        for state in (why, panel):
            state(page)
            found[state.__name__] = judged(page, f"{name}-{state.__name__}")
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
            expect(page).to_have_url(address)
        server.broken.add(MODEL)
        page.reload()
        expect(loading_line(page)).to_contain_text("Failed")
        found["failed"] = judged(page, f"{name}-failed")
    assert found == {state: [] for state in found}


def judged(page: Page, name: str) -> list[str]:
    keep_screenshot(page, name)
    return violations(page)


# What Python gives it ----------------------------------------------------------------------------


def test_texts_and_examples_are_those_of_the_page_with_a_server(searcher):
    config = site_config(searcher, pictures=False)
    for language in LANGUAGES:
        own, theirs = config["languages"][language], page_config(language, searcher)
        assert own["examples"] == theirs["examples"]
        assert own["texts"].items() <= theirs["texts"].items()

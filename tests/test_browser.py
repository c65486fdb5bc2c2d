"""The page in headless Chromium, on a real server."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import save_heavy_gif
from playwright.sync_api import Browser, Locator, Page, expect

from retrieval.paths import ROOT
from tests.support.browser import ARTIFACTS, chromium, visit
from tests.support.server import serving


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as server:
        yield server.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with visit(browser, address, request.param, request.node.name) as page:
        yield page


def pictures(page: Page) -> Locator:
    return page.get_by_test_id("stMain").get_by_role("img")


def in_first_row(page: Page) -> int:
    boxes = [pictures(page).nth(i).bounding_box() for i in range(6)]
    return sum(abs(box["y"] - boxes[0]["y"]) < 2 for box in boxes if box and boxes[0])


def film(path: Path) -> Path:
    """Half a second of grey, as MP4."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(5):
            picture = np.full((64, 64, 3), 128, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def titles(page: Page) -> list[str]:
    """The alternative texts of the pictures, once the script has run."""
    page.wait_for_selector("[data-test-script-state=notRunning]")
    return pictures(page).evaluate_all("pictures => pictures.map(p => p.alt)")


def ask(page: Page, message: str) -> None:
    box = page.get_by_role("textbox", name="Write text you want to get reaction for")
    box.fill(message)
    box.press("Enter")


def test_example_and_typed_message_return_animated_gifs(page: Page):
    page.get_by_role("radio", name="I'm so scared right now").click()
    expect(page.get_by_text("face screaming in fear")).to_be_visible()
    expect(pictures(page)).to_have_count(12)
    assert pictures(page).first.get_attribute("alt")
    gif = page.request.get(pictures(page).first.get_attribute("src") or "")
    assert gif.body()[:6] == b"GIF89a"

    ask(page, "Thank you so much for your help")
    expect(page.get_by_text("folded hands")).to_be_visible()
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert in_first_row(page) >= (5 if width == 1280 else 2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_play_off_shows_stills_and_the_play_button_animates_one_card(page: Page):
    page.goto(page.url + "?q=I+got+the+job")
    expect(pictures(page).first).to_have_attribute("src", re.compile(r"/gif/\w+\.gif"))
    page.get_by_text("Play GIFs").click()
    expect(pictures(page).first).to_have_attribute("src", re.compile(r"/still/\w+/\d+/200\.webp"))
    still = page.request.get(pictures(page).first.get_attribute("src") or "")
    assert still.body()[8:12] == b"WEBP"
    page.get_by_role("button", name="Play", exact=True).first.click()
    expect(pictures(page).first).to_have_attribute("src", re.compile(r"/gif/"))
    expect(pictures(page).nth(1)).to_have_attribute("src", re.compile(r"/still/"))
    page.get_by_text("Play GIFs").click()
    expect(pictures(page).nth(1)).to_have_attribute("src", re.compile(r"/gif/"))


def test_uploads_are_ranked_and_an_unreadable_file_is_named(page: Page, tmp_path: Path):
    media = ROOT / "index" / "starter" / "media"
    (tmp_path / "letter.gif").write_text("Dear page, I am no picture.")
    files = [media / f"{n}.gif" for n in ("party-popper", "nauseated-face", "red-heart")]
    files.append(film(tmp_path / "film.mp4"))
    page.get_by_text("Rank my pictures instead").first.click()
    page.locator("input[type=file]").last.set_input_files([*files, tmp_path / "letter.gif"])
    ask(page, "that is disgusting, I feel sick")
    expect(page.get_by_text("4 of 4 reactions in your pictures")).to_be_visible()
    expect(page.get_by_text("letter.gif: no picture that can be read")).to_be_visible()
    expect(pictures(page)).to_have_count(3)
    expect(pictures(page).first).to_have_attribute("alt", "nauseated-face.gif")
    expect(page.locator("video")).to_have_count(1)


def test_reading_uploads_stops_when_the_visitor_leaves(browser: Browser, tmp_path: Path):
    for number in range(10):
        save_heavy_gif(tmp_path / f"{number}.gif", 1_600, 1_500 - number)  # seconds each
    with serving() as server:
        page = browser.new_page()
        page.goto(server.address)
        page.get_by_text("Rank my pictures instead").first.click()
        page.locator("input[type=file]").last.set_input_files(sorted(tmp_path.glob("*.gif")))
        expect(page.get_by_text("Reading your pictures")).to_be_visible(timeout=30_000)
        start_s = server.processor_s()
        time.sleep(1)
        assert server.processor_s() - start_s > 0.3
        page.close()
        time.sleep(1.5)
        start_s = server.processor_s()
        time.sleep(1)
        assert server.processor_s() - start_s < 0.3


def test_details_more_like_this_and_its_permanent_url(page: Page):
    ask(page, "I have no idea")
    expect(pictures(page)).to_have_count(12)
    page.get_by_role("button", name="Why?").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Best frame")).to_be_visible()
    expect(dialog.get_by_text("Licence: MIT")).to_be_visible()
    expect(dialog.get_by_role("button", name="Download")).to_be_visible()
    page.screenshot(path=ARTIFACTS / f"why-{page.viewport_size['width']}.png")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="More like this").first.click()
    expect(page.get_by_text("More like “")).to_be_visible()
    expect(page).to_have_url(re.compile(r"like=\w{16}"))
    shown = titles(page)
    page.goto(page.url)
    expect(page.get_by_text("More like “")).to_be_visible()
    expect(pictures(page)).to_have_count(len(shown))
    assert titles(page) == shown and len(shown) > 6


def test_library_and_about_pages_render(page: Page, address: str):
    page.goto(f"{address}/library")
    expect(page).to_have_title("CLIP reaction search")
    expect(page.get_by_role("heading", name="Map")).to_be_visible()
    expect(page.get_by_role("group", name="Map").get_by_role("link").first).to_be_visible()
    page.goto(f"{address}/about")
    expect(page.get_by_text("How to cite")).to_be_visible()
    expect(page.get_by_text("Checkpoint mini: 256 dimensions")).to_be_visible()

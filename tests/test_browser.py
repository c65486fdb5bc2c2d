"""The page as a person meets it: a real server on loopback and a real Chromium."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from retrieval.settings import ROOT

ARTIFACTS = ROOT / "artifacts"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port),
         "--server.address", "127.0.0.1", "--server.headless", "true"],
        cwd=ROOT,
    )  # fmt: skip
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2)
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    width = request.param
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(address)
    yield page
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{request.node.name}.png", full_page=True)
    page.close()


def pictures(page: Page):
    return page.get_by_test_id("stMain").get_by_role("img")


def columns(page: Page) -> int:
    tops = [pictures(page).nth(i).bounding_box() for i in range(6)]
    return sum(abs(box["y"] - tops[0]["y"]) < 2 for box in tops if box)


def test_an_example_and_a_typed_message_are_answered_with_moving_gifs(page: Page):
    page.get_by_role("button", name="I'm so scared right now").click()
    expect(page.get_by_text("face screaming in fear")).to_be_visible()
    expect(pictures(page)).to_have_count(12)
    source = pictures(page).first.get_attribute("src")
    with page.expect_response(lambda r: ".gif" in r.url or "media" in r.url) as response:
        page.evaluate("address => fetch(address)", source)
    assert response.value.body()[:6] == b"GIF89a"

    box = page.get_by_label("Write text you want to get reaction for")
    box.fill("Thank you so much for your help")
    box.press("Enter")
    expect(page.get_by_text("folded hands")).to_be_visible()
    width = page.viewport_size["width"]
    assert columns(page) >= (5 if width == 1280 else 2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_upload_that_is_no_picture_is_said_and_the_page_goes_on(page: Page, tmp_path: Path):
    (tmp_path / "letter.gif").write_text("Dear page, I am no picture.")
    page.get_by_text("React to a picture").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "letter.gif")
    expect(page.get_by_text("The upload cannot be searched with")).to_be_visible()

    gif = next((ROOT / "index" / "starter" / "media").glob("party-popper.gif"))
    page.get_by_test_id("stFileUploaderDeleteBtn").get_by_role("button").click()
    page.locator("input[type=file]").set_input_files(gif)
    expect(page.get_by_text("party popper", exact=False).first).to_be_visible()

"""A real browser, for the tests and for measuring; needs the extra [dev]."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect, sync_playwright

from retrieval.errors import SourceError
from retrieval.paths import ROOT

ARTIFACTS = ROOT / "artifacts"  # screenshots
TIMEOUT_MS = 30_000

# What the page shows once it answers; while all loads there is a bar, and no picture.
ANSWER = ".reaction-picker .card img"

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium: the one that CHROMIUM names, or the system's; SourceError if none."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not path:
        raise SourceError("No Chromium found. Name one: CHROMIUM=/path/to/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@contextmanager
def visit(browser: Browser, address: str, width: int, name: str) -> Iterator[Page]:
    """A page of this width in pixels; at the end its screenshot is kept under the name."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    page.goto(address)
    ARTIFACTS.mkdir(exist_ok=True)
    yield page
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)
    page.close()

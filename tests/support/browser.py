"""A real browser, for the tests and for measuring; needs the extra [dev]."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from retrieval.errors import SourceError

# What the page shows once it answers; while all loads there is a bar, and no picture.
ANSWER = "[data-testid=stMain] img"

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

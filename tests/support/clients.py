"""Published clients of GIPHY and Tenor, installed from npm and bundled, in pages on loopback."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Response, Route, expect

SOURCES = Path(__file__).parents[1] / "clients"
PAGE = (
    '<!doctype html><meta charset="utf-8"><title>Clients</title>'
    '<link rel="stylesheet" href="clients.css"><body><script src="clients.js"></script>'
)


def build_clients(folder: Path) -> Path:
    """Install the versions of the lock file, whose hashes npm checks, and bundle them."""
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    run = partial(subprocess.run, cwd=folder, check=True, capture_output=True, timeout=300)
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
    bundle = ["npx", "esbuild", "clients.jsx", "--bundle", "--outfile=clients.js"]
    run([*bundle, "--jsx=automatic", '--define:process.env.NODE_ENV="production"'])
    (folder / "index.html").write_text(PAGE)
    return folder


class Visit:
    """A page, which requests it made to this machine, and which it would have made elsewhere."""

    def __init__(self, page: Page):
        self.page = page
        self.here: list[str] = []
        self.elsewhere: list[str] = []
        self.failed: list[str] = []
        page.route("**/*", self._let_through)
        page.on("response", self._note)

    def _let_through(self, route: Route) -> None:
        address = route.request.url
        if urlsplit(address).hostname == "127.0.0.1" or address.startswith(("data:", "blob:")):
            self.here.append(address)
            route.continue_()
        else:
            self.elsewhere.append(address)
            route.fulfill(status=200, json={})  # what a client counts for its maker stays here

    def _note(self, response: Response) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.status} {response.url}")

    def asked(self, path: str) -> list[str]:
        """Addresses of requests to an operation."""
        return [address for address in self.here if urlsplit(address).path == path]


@contextmanager
def visiting(browser: Browser, address: str) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": 700, "height": 700})
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    visit = Visit(page)
    page.goto(address)
    yield visit
    page.close()

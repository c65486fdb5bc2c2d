"""A static site's service worker in Chromium: without a connection, and from version to version."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from retrieval.site.page import kept_offline, service_worker, site_version
from tests.support.fake_site import (
    MODEL,
    by_meaning,
    change_fake_site,
    loading_line,
    write_fake_site,
)
from tests.support.picker import DESKTOP, ask, picker, titles
from tests.support.static_server import StaticServer, static_server

ABOUT = "fetch('data/about.json').then((response) => response.text())"
KEPT = """async () => {
  const names = (await caches.keys()).filter((name) => name.startsWith("reaction-search"));
  const open = await Promise.all(names.map((name) => caches.open(name)));
  const kept = await Promise.all(open.map((cache) => cache.keys()));
  return kept.flat().map((request) => new URL(request.url).pathname);
}"""

IMAGES = (
    "[...document.querySelector('.reaction-picker').shadowRoot"
    ".querySelectorAll('.card img')].slice(0, 6)"
)


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


def until_kept(page: Page) -> None:
    """Wait until the service worker has the whole site."""
    deadline = time.monotonic() + 10
    while not any(path.endswith("LICENSE") for path in page.evaluate(KEPT)):  # the last one
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def copy_site(root: Path, to: Path) -> None:
    """A copy without its pictures."""
    pictures = shutil.ignore_patterns("media", "rendition", "still")
    shutil.copytree(root / "repo", to / "repo", ignore=pictures)


def test_second_visit_needs_no_connection(browser: Browser, server: StaticServer, address: str):
    with picker(browser, address, DESKTOP) as page:
        by_meaning(page)
        until_kept(page)
        opening = titles(page)
        page.wait_for_function(  # pictures are kept as they are seen
            f"""async () => {{
              const found = await Promise.all({IMAGES}.map((image) => caches.match(image.src)));
              return found.length === 6 && found.every(Boolean);
            }}"""
        )
        server.stop()
        page.goto(address)
        by_meaning(page)
        assert titles(page) == opening
        page.wait_for_function(f"() => {IMAGES}.every((image) => image.naturalWidth)")
        page.goto(f"{address}?q=thank+you&about=1")
        expect(page.get_by_role("cell", name="MIT")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        ask(page, "so tired", "sleepy face")


def test_update_replaces_the_whole_site_and_fetches_only_what_changed(
    browser: Browser, tmp_path: Path, root: Path
):
    copy_site(root, tmp_path)
    with (
        static_server(tmp_path) as server,
        picker(browser, f"{server.address}/repo/", DESKTOP) as page,
    ):
        until_kept(page)
        version = page.evaluate("document.querySelector('[name=reaction-version]').content")
        change_fake_site(tmp_path / "repo", "data/about.json", b'{"new": 0.5}')
        page.reload()
        by_meaning(page)
        expect(loading_line(page)).to_contain_text("newer version")
        assert "MIT" in page.evaluate(ABOUT)  # until the visitor wants the new one
        page.get_by_role("button", name="Load it").click()
        expect(page.locator("meta[name=reaction-version]")).not_to_have_attribute(
            "content", version
        )
        by_meaning(page)
        assert page.evaluate(ABOUT) == '{"new": 0.5}'
        assert server.asked.count(MODEL) == 1


def test_file_of_another_version_is_refused(browser: Browser, tmp_path: Path, root: Path):
    copy_site(root, tmp_path)
    answers = tmp_path / "repo" / "data" / "answers.json"
    with static_server(tmp_path) as server:
        answers.write_text(answers.read_text() + " ")  # the rest of an update is still on its way
        page = browser.new_page()
        page.goto(f"{server.address}/repo/")
        expect(loading_line(page)).to_contain_text("Failed:")
        page.close()


def test_service_worker_names_the_version_and_the_files_to_keep():
    files = {
        "data/data.json": "aa",
        "media/ab/abc.gif": "bb",
        "index.html": "cc",
        "README.md": "dd",
    }
    version = site_version(files)
    assert version != site_version({**files, "media/ab/abc.gif": "ee"})
    assert version == site_version({**files, "index.html": "ff"})  # which names the version
    worker = service_worker(version, files).decode()
    assert f'"version": "{version}"' in worker and '"data/data.json": "aa"' in worker
    assert [path for path in files if kept_offline(path)] == ["data/data.json", "index.html"]
    assert "media/ab" not in worker

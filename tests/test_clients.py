"""Clients of GIPHY and Tenor, unmodified, as npm has them: in a browser, against a real server."""

import shutil
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import ARTIFACTS
from tests.support.clients import Visit, build_clients, visiting
from tests.support.compatible import JOB, N_DISTINCT
from tests.support.server import Server, serving_api
from tests.support.static_server import static_server

pytestmark = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    cache = {"REACTION_CACHE": str(tmp_path_factory.mktemp("cache"))}
    with serving_api(cache, wait_for="/api/v1/ready") as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The clients' page at an address of its own: for the API, another site's page."""
    with static_server(build_clients(tmp_path_factory.mktemp("clients"))) as pages:
        yield f"{pages.address}/"


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Visit]:
    with visiting(browser, site) as visit:
        yield visit
        assert not visit.failed


@pytest.fixture
def call(visit: Visit, server: Server):
    """What a method of GIPHY's client answers; `of` is JavaScript, after `api.`."""

    def call(of: str) -> Any:
        return visit.page.evaluate(f"server => window.giphyFetch(server).{of}", server.address)

    return call


def is_gif(address: str) -> bool:
    with urllib.request.urlopen(address) as answer:
        return answer.headers["Content-Type"] == "image/gif" and answer.read(3) == b"GIF"


def show(visit: Visit, of: str, *args: str) -> None:
    visit.page.evaluate(f"args => window.{of}(...args)", args)


def wait_until_painted(page: Page, pictures: str) -> None:
    """Until pictures of a selector have come and take room on the page."""
    page.wait_for_function(
        "pictures => [...document.querySelectorAll(pictures)]"
        ".filter(e => e.naturalWidth && e.offsetWidth > 20).length > 5",
        arg=pictures,
    )


def test_giphy_client_searches_and_finds_the_same_by_id(call):
    found = call(f"search({JOB!r}, {{limit: 5}})")
    assert found["data"][0]["title"] in ("party popper", "partying face")
    first = found["data"][0]
    assert is_gif(first["images"]["original"]["url"])
    assert call(f"gif({first['id']!r})")["data"]["title"] == first["title"]
    two = [gif["id"] for gif in found["data"][1:3]]
    assert [gif["id"] for gif in call(f"gifs({two})")["data"]] == two


def test_giphy_client_gets_trending_related_random_and_categories(call):
    trending = call("trending({limit: 30})")["data"]
    assert len({gif["id"] for gif in trending}) == 30
    related = call(f"related({trending[0]['id']!r}, {{limit: 5}})")["data"]
    assert len(related) == 5 and trending[0]["id"] not in [gif["id"] for gif in related]
    by_chance = {call("random({tag: 'so tired'})")["data"]["id"] for _ in range(6)}
    assert 1 <= len(by_chance) <= 6 and call("random()")["data"]["images"]["fixed_width"]["url"]
    categories = call("categories()")["data"]
    assert len(categories) > 20 and all(category["gif"]["id"] for category in categories)
    stickers = call("search('hooray', {type: 'stickers', limit: 3})")["data"]
    assert len(stickers) == 3


@pytest.mark.parametrize(
    ("operation", "total"),
    [
        ("search('so tired', options)", N_DISTINCT),
        ("trending(options)", N_DISTINCT),
        ("related(id, options)", N_DISTINCT - 1),
    ],
)
def test_giphy_client_pages_to_the_end_without_a_repeat(visit, server, operation: str, total: int):
    pages = visit.page.evaluate(
        f"""async server => {{
          const api = window.giphyFetch(server), ids = [];
          const {{ data: [{{ id }}] }} = await api.search("hello", {{ limit: 1 }});
          for (let offset = 0; ; ) {{
            const options = {{ offset, limit: 50 }};
            const page = await api.{operation};
            ids.push(...page.data.map((gif) => gif.id));
            offset = page.pagination.offset + page.pagination.count;
            if (offset >= page.pagination.total_count) return ids;
          }}
        }}""",
        server.address,
    )
    assert len(pages) == len(set(pages)) == total


def test_giphys_grid_paints_and_pages_by_scrolling(visit: Visit, server: Server):
    show(visit, "showGrid", server.address, JOB)
    pictures = ".giphy-grid img.giphy-gif-img"
    expect(visit.page.locator(pictures).nth(8)).to_be_visible()
    for _ in range(40):
        if len(visit.asked("/v1/gifs/search")) >= 3:
            break
        visit.page.mouse.wheel(0, 1_500)
        visit.page.wait_for_timeout(100)
    assert len(visit.asked("/v1/gifs/search")) >= 3
    expect(visit.page.locator(pictures).nth(24)).to_be_attached()
    wait_until_painted(visit.page, pictures)
    sources = visit.page.locator(pictures).evaluate_all("all => all.map(e => e.alt)")
    assert len(sources) == len(set(sources))
    visit.page.screenshot(path=ARTIFACTS / "giphy-grid.png")
    visit.page.locator(pictures).first.click()
    clicked = visit.page.evaluate("window.clicked")
    assert is_gif(clicked["images"]["original"]["url"])
    # GIPHY's components report what was seen to GIPHY: caught here, and nothing else goes out.
    assert {urlsplit(address).hostname for address in visit.elsewhere} <= {"pingback.giphy.com"}


@pytest.mark.parametrize("name", ["giphy", "tenor"])
def test_gif_picker_react_is_typed_into_seen_and_clicked(visit: Visit, server: Server, name: str):
    show(visit, "showPicker", server.address, name)
    page = visit.page
    expect(page.locator("main img").nth(15)).to_be_attached()  # categories
    page.get_by_role("textbox").fill("I'm so scared right now")
    found = page.get_by_role("img", name="face screaming in fear").first
    expect(found).to_be_visible()
    wait_until_painted(page, "main img")
    page.screenshot(path=ARTIFACTS / f"gif-picker-react-{name}.png")
    found.click()
    clicked = page.evaluate("window.clicked")
    assert is_gif(clicked["imageUrl"]) and is_gif(clicked["preview"]["imageUrl"])
    assert (clicked["width"], clicked["height"]) == (128, 128)
    if name == "tenor":  # and is told of it, as Tenor was
        assert len(visit.asked("/v2/registershare")) == 1
    assert not visit.elsewhere

"""The library page: its data over HTTP, and what a person does with it in a browser."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from starlette.applications import Starlette
from starlette.testclient import TestClient

from retrieval.api.library import library_routes
from retrieval.build import LeaveOut
from retrieval.encoders import load_encoder
from retrieval.library import MEDIA, Bundle
from retrieval.paths import STARTER
from retrieval.renditions import VERSION
from retrieval.web.frontend import frontend_folder
from retrieval.web.settings import current_settings
from tests.support.browser import visit
from tests.support.server import serving
from tests.support.synthetic_bundle import write_synthetic_bundle

N_GIFS = 60
MARKUP = "<img src=x onerror=document.title='owned'>"
FORMULA = '=HYPERLINK("http://127.0.0.1","a, b")'
CHANGES = {
    1: {"width": 256, "height": 256},  # larger than GIF 0, which it looks like
    2: {"title": MARKUP},
    3: {"title": FORMULA, "places": ("/home/person/gifs/3.gif",)},
    4: {"uri": "media/gone.gif"},
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Sixty GIFs of the starter bundle at random places, two pairs of which look alike."""
    folder = tmp_path_factory.mktemp("library") / "small"
    encoder = load_encoder("mini", runtime="exported")
    vectors = np.random.default_rng(0).normal(size=(N_GIFS, encoder.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    media = sorted((STARTER / MEDIA).glob("*.*"))[:N_GIFS]
    write_synthetic_bundle(folder, media, [vectors], encoder, CHANGES)
    return Bundle.open(folder)


@pytest.fixture
def client(library: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TestClient:
    return serve(library.path, monkeypatch, tmp_path)


def serve(index: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> TestClient:
    monkeypatch.setenv("REACTION_INDEX", str(index))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    current_settings.cache_clear()
    return TestClient(Starlette(routes=library_routes()))


def test_numbers_are_those_of_the_catalogue(client: TestClient, library: Bundle):
    answer = client.get("/api/v1/library").json()
    unknown = [record for record in library.records if record.license == "unknown"]
    assert (answer["gifs"], answer["frames"], answer["missing"]) == (N_GIFS, N_GIFS, 1)
    assert answer["unlicensed"] == len(unknown) > 5
    assert answer["unlicensed_gifs"][0]["id"] == unknown[0].id
    assert answer["bytes"] == sum(
        (library.path / record.uri).stat().st_size
        for number, record in enumerate(library.records)
        if number != 4
    )
    assert sum(bar["count"] for bar in answer["charts"]["license"]) == N_GIFS
    assert sum(answer["charts"]["duration"]["counts"]) == N_GIFS


def test_charts_of_one_value_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    answer = serve(STARTER, monkeypatch, tmp_path).get("/api/v1/library").json()
    assert set(answer["charts"]) == {"duration", "size"}  # one licence, one source


def test_look_alikes_come_with_what_tells_them_apart(client: TestClient, library: Bundle):
    answer = client.get("/api/v1/duplicates?limit=1").json()
    assert (answer["total"], answer["next_offset"]) == (2, 1)
    first, second = answer["groups"][0]["gifs"]
    assert [first["id"], second["id"]] == [library.records[0].id, library.records[1].id]
    assert (second["width"], second["height"], second["license"]) == (256, 256, "MIT")
    assert second["bytes"] == (library.path / library.records[1].uri).stat().st_size
    assert second["still"] == f"still/{second['id']}/0/100.webp?v={VERSION}"
    assert answer["groups"][0]["keep"] == second["id"]
    last = client.get("/api/v1/duplicates?limit=1&offset=1").json()
    assert last["next_offset"] is None and len(last["groups"]) == 1
    assert answer["command"] == (
        "reaction-search build synthetic --out index/small --copy-media --leave-out leave-out.txt"
    )


def test_gif_without_a_file_has_no_pictures(client: TestClient, library: Bundle):
    answer = client.get("/api/v1/duplicates").json()
    assert all(gif["still"] for group in answer["groups"] for gif in group["gifs"])
    unlicensed = client.get("/api/v1/library").json()["unlicensed_gifs"]
    assert all(gif["still"] for gif in unlicensed if gif["id"] != library.records[4].id)


def test_table_has_every_record_and_no_formula(client: TestClient, library: Bundle):
    response = client.get("/api/v1/library.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in response.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["id"] for row in rows] == [record.id for record in library.records]
    assert rows[2]["title"] == MARKUP and rows[3]["title"] == f"'{FORMULA}"
    assert rows[5]["tags"] == ", ".join(library.records[5].tags)
    assert not [cell for row in rows for cell in row.values() if cell[:1] in "=+-@\t\r" and cell]
    assert "/home/person" not in response.text


def test_table_of_missing_licences_is_a_metadata_file(client: TestClient, library: Bundle):
    rows = list(csv.DictReader(io.StringIO(client.get("/api/v1/licences.csv").text)))
    unknown = [record for record in library.records if record.license == "unknown"]
    assert [row["title"] for row in rows] == [
        f"'{record.title}" if record.title == FORMULA else record.title for record in unknown
    ]
    assert {row["license"] for row in rows} == {""}
    names = {row["title"]: row["file_name"] for row in rows}
    assert names[f"'{FORMULA}"] == "3.gif"  # without the folder of this machine


@pytest.mark.parametrize("query", ["offset=-1", "limit=x", "offset=1e3", "limit=٣"])
def test_wrong_page_of_look_alikes_is_a_problem(client: TestClient, query: str):
    response = client.get(f"/api/v1/duplicates?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert "whole number" in response.json()["detail"]


def test_library_that_is_not_there_is_a_problem_without_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    response = serve(tmp_path / "nowhere", monkeypatch, tmp_path).get("/api/v1/library")
    assert response.status_code == 503 and str(tmp_path) not in response.text


# In a browser, on a real server.


@pytest.fixture(scope="module")
def address(library: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    cache = tmp_path_factory.mktemp("cache")
    environment = {"REACTION_INDEX": str(library.path), "XDG_CACHE_HOME": str(cache)}
    with serving(environment=environment) as server:
        yield f"{server.address}/library"


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with visit(browser, address, request.param, request.node.name) as page:
        expect(tiles(page).first).to_be_visible()
        yield page


def the_map(page: Page) -> Locator:
    return page.get_by_role("group", name="Map")


def tiles(page: Page) -> Locator:
    return the_map(page).get_by_role("link")


def test_nothing_is_wider_than_the_screen(page: Page):
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]
    box = the_map(page).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"]


def test_choosing_a_point_searches_for_more_like_it(page: Page, library: Bundle):
    title = library.records[7].title
    link = the_map(page).get_by_role("link", name=re.compile(f"^{title}"))
    link.scroll_into_view_if_needed()
    link.click()
    expect(page).to_have_url(re.compile(rf"/\?like={library.records[7].id[:16]}"))


def test_arrow_keys_move_over_the_map_and_enter_searches(page: Page):
    tiles(page).first.focus()
    before = focused(page)
    page.keyboard.press("ArrowDown")
    below = focused(page)
    assert below["top"] > before["top"]
    page.keyboard.press("ArrowUp")
    assert focused(page)["top"] < below["top"]
    assert the_map(page).locator("[tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/\?like=\w{16}"))


def focused(page: Page) -> dict[str, float]:
    return page.evaluate(
        """() => { let at = document.activeElement;
            while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
            return {left: at.tile.left, top: at.tile.top} }"""
    )


def test_enlarged_picture_stays_inside_of_the_map(page: Page):
    for link in (tiles(page).first, tiles(page).last):
        link.focus()
        lens, around = the_map(page).locator(".lens").bounding_box(), the_map(page).bounding_box()
        assert lens["x"] >= around["x"] and lens["y"] >= around["y"]
        assert lens["x"] + lens["width"] <= around["x"] + around["width"] + 1
        assert lens["y"] + lens["height"] <= around["y"] + around["height"] + 1
    page.keyboard.press("Escape")
    expect(the_map(page).locator(".lens")).to_be_hidden()


def test_markup_in_a_title_shows_as_text(page: Page):
    link = the_map(page).get_by_role("link", name=MARKUP)
    link.focus()
    expect(the_map(page).locator(".lens")).to_contain_text(MARKUP)
    assert page.title() == "CLIP reaction search"


def test_wheel_over_the_map_scrolls_the_page(page: Page):
    the_map(page).scroll_into_view_if_needed()
    before = the_map(page).bounding_box()
    page.mouse.move(before["x"] + 100, before["y"] + 20)
    page.mouse.wheel(0, 200)
    page.wait_for_function(
        "y => { const find = root => root.querySelector('.map') ?? [...root.querySelectorAll('*')]"
        ".map(e => e.shadowRoot && find(e.shadowRoot)).find(Boolean);"
        " return find(document).getBoundingClientRect().y < y - 50 }",
        arg=before["y"],
    )


def test_zooming_in_makes_room_for_more(page: Page):
    """At twice the zoom more of 600 points have a tile that overlaps no other."""
    fits = """async ([folder, scale]) => {
        const { placeTiles } = await import(new URL(`${folder}/map.js`, location.origin));
        const points = [...Array(600).keys()].map(i => ({x: (i * 0.618) % 1, y: (i * 0.755) % 1}));
        const tiles = placeTiles(points, 390 * scale, 340 * scale, 30);
        const near = (a, b) => Math.abs(a.left - b.left) < 30 && Math.abs(a.top - b.top) < 30;
        const overlap = tiles.some((a, i) => tiles.slice(i + 1).some(b => near(a, b)));
        return [tiles.length, overlap] }"""
    few, overlap = page.evaluate(fits, [frontend_folder(), 1])
    assert not overlap and few <= 12 * 10
    more, overlap = page.evaluate(fits, [frontend_folder(), 2])
    assert not overlap and more > 2 * few
    whole = page.get_by_role("button", name="Whole map")
    expect(whole).to_be_disabled()
    page.get_by_role("button", name="Zoom in").click()
    whole.click()
    expect(whole).to_be_disabled()


def test_map_moves_to_a_tile_that_lies_outside_of_it(page: Page):
    page.get_by_role("button", name="Zoom in").click()
    tiles(page).first.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
        tile = the_map(page).locator("[tabindex='0']").bounding_box()
        around = the_map(page).bounding_box()
        assert tile["x"] >= around["x"] - 1
        assert tile["x"] + tile["width"] <= around["x"] + around["width"] + 1


def test_chosen_gif_stays_and_the_others_are_listed(page: Page, library: Bundle, tmp_path: Path):
    group = page.get_by_role("group", name="Group 1: 2 GIFs")
    download = page.get_by_role("button", name="Download the list")
    expect(download).to_be_disabled()
    group.get_by_label("Keep this one").first.check()
    expect(page.get_by_text("1 GIFs to leave out")).to_be_visible()
    page.reload()
    expect(group.get_by_label("Keep this one").first).to_be_checked()
    with page.expect_download() as started:
        download.click()
    started.value.save_as(tmp_path / "leave-out.txt")
    listed = LeaveOut.read(tmp_path / "leave-out.txt")
    kept, other = library.records[0], library.records[1]
    assert listed.names_id(other.id) and not listed.names_id(kept.id) and not listed.unmatched
    assert f"# {other.title}\n{other.id}\n" in (tmp_path / "leave-out.txt").read_text()
    page.get_by_role("button", name="Keep the largest of every other group").click()
    expect(page.get_by_text("2 GIFs to leave out")).to_be_visible()
    expect(group.get_by_label("Keep this one").first).to_be_checked()  # the visitor's own choice
    page.get_by_role("button", name="Forget my choices").click()
    expect(group.get_by_label("Keep all of them")).to_be_checked()


def test_reduced_motion_shows_stills(browser: Browser, address: str):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    tiles(page).first.focus()
    expect(the_map(page).locator(".lens img")).to_have_attribute("src", re.compile("/still/"))
    assert not [url for url in asked if "/rendition/" in url or "/gif/" in url]
    context.close()


def test_page_and_links_keep_the_language(browser: Browser, address: str):
    page = browser.new_page()
    page.goto(f"{address}?lang=ko")
    link = page.get_by_role("group", name="지도").get_by_role("link").first
    expect(link).to_have_attribute("href", re.compile(r"\?like=\w{16}&lang=ko$"))
    page.close()

"""Tenor's API v2 over this library."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from starlette.testclient import TestClient

from retrieval.web import rendition_url
from retrieval.web.media_routes import current_renditions
from tests.support.compatible import (
    ELSEWHERE,
    ESCAPES,
    FILM_ELSEWHERE,
    JOB,
    LONG,
    N_DISTINCT,
    ROOT,
    UNKNOWN,
    build_mixed_bundle,
    check,
    compatible_client,
    raw_get,
)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("REACTION_CACHE", str(tmp_path))
    return compatible_client()


@pytest.fixture
def get(client: TestClient) -> Callable[..., dict[str, Any]]:
    """The answer of an operation below /v2, in the form that Tenor documents under a name."""

    def get(path: str, form: str = "results", **parameters: Any) -> Any:
        response = client.get(f"/v2/{path}", params=parameters)
        assert response.status_code == 200, response.text
        check(response.json(), "tenor", form)
        return response.json()

    return get


def ids(answer: dict[str, Any]) -> list[str]:
    return [result["id"] for result in answer["results"]]


def first(get: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    return get("search", q=JOB, limit=1, **parameters)["results"][0]


def test_every_operation_answers_in_the_documented_form(get):
    common = {"key": "any", "client_key": "test", "country": "US", "locale": "en_US"}
    common |= {"contentfilter": "high", "ar_range": "all"}
    gif_id = first(get)["id"]
    for path, parameters in (
        ("search", {"q": JOB}),
        ("search", {"q": JOB, "random": "true"}),
        ("random", {"q": JOB}),
        ("featured", {}),
    ):
        assert len(get(path, **parameters, **common)["results"]) == 20, path
    assert ids(get("posts", ids=gif_id, **common)) == [gif_id]
    assert get("categories", "categories", type="featured", **common)["tags"]
    for path, parameters in (
        ("autocomplete", {"q": "hap"}),
        ("search_suggestions", {"q": "birthday"}),
        ("trending_terms", {}),
    ):
        assert get(path, "terms", **parameters, **common)["results"], path
    assert get("registershare", "empty", id=gif_id, q=JOB, **common) == {}


def test_search_ranks_as_the_api_of_this_library_does(client, get):
    own = client.get("/api/v1/search", params={"q": JOB, "limit": 20}).json()
    assert ids(get("search", q=JOB)) == [gif["id"] for gif in own["gifs"]]


@pytest.mark.parametrize(
    "path, n_expected",
    [("search?q=so tired", N_DISTINCT), ("featured?", N_DISTINCT), ("random?q=cat", 50)],
)
def test_cursor_leads_to_the_end_without_repeats(client, path, n_expected):
    seen, pos, pages = [], "", 0
    while True:
        answer = client.get(f"/v2/{path}&limit=40&pos={pos}").json()
        check(answer, "tenor", "results")
        assert client.get(f"/v2/{path}&limit=40&pos={pos}").json() == answer or not pos
        seen += ids(answer)
        pos, pages = answer["next"], pages + 1
        if not pos:
            break
        assert pages < 20
    assert len(seen) == len(set(seen)) == n_expected


def test_cursor_of_a_varied_selection_outlives_the_day(get, monkeypatch):
    page = get("featured", limit=10)
    following = ids(get("featured", limit=10, pos=page["next"]))
    monkeypatch.setattr("retrieval.api.tenor.today", lambda: 1)
    assert ids(get("featured", limit=10)) != ids(page)
    assert ids(get("featured", limit=10, pos=page["next"])) == following


def test_random_order_is_another_one_each_time_of_gifs_that_fit(get):
    best = ids(get("search", q="cat", limit=50))
    orders = [ids(get("search", q="cat", random="true", limit=10)) for _ in range(3)]
    assert all(set(order) <= set(best) for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_ids_lead_back_to_the_gif(client, get):
    one, _, three = ids(get("search", q=JOB, limit=3))
    assert ids(get("posts", ids=f"{three},{UNKNOWN},{one},{three}")) == [three, one]
    result = first(get)
    for field in ("url", "itemurl"):
        response = client.get(result[field])
        assert response.headers["location"] == f"{ROOT}/gif/{one}.gif"
    assert client.get(result["media_formats"]["gif"]["url"]).content.startswith(b"GIF8")


def test_media_urls_serve_the_stated_dimensions_and_sizes_are_stated_once_rendered(client, get):
    before = first(get)["media_formats"]
    assert before["nanowebp"]["size"] == before["tinygifpreview"]["size"] == 0
    served = {}
    for name in (
        "gif",
        "tinygif",
        "nanogif",
        "webp",
        "tinywebp",
        "nanowebp",
        "gifpreview",
        "tinygifpreview",
    ):
        response = client.get(before[name]["url"])
        assert response.status_code == 200, name
        served[name] = len(response.content)
        with Image.open(io.BytesIO(response.content)) as image:
            assert list(image.size) == before[name]["dims"], name
            assert (getattr(image, "n_frames", 1) > 1) == (before[name]["duration"] > 0), name
    assert before["gif"]["size"] == served["gif"]
    after = first(get)["media_formats"]
    assert {name: after[name]["size"] for name in served} == served


def test_only_the_formats_that_are_asked_for_are_sent(get):
    chosen = first(get, media_filter="gif,tinygif,tinymp4")
    assert chosen["media_formats"].keys() == {"gif", "tinygif", "tinymp4"}
    media = chosen["media_formats"]
    assert media["tinygif"]["url"] == ROOT + rendition_url(chosen["id"], 200, "gif")
    assert media["tinymp4"]["url"] == ROOT + rendition_url(chosen["id"], 200, "mp4")
    assert not any(name.endswith("_transparent") for name in first(get)["media_formats"])


def test_stickers_are_the_same_gifs_with_the_formats_of_stickers(get):
    sticker = first(get, searchfilter="sticker")
    assert sticker["id"] == first(get)["id"] and sticker["flags"] == ["sticker"]
    assert "tinywebp_transparent" in sticker["media_formats"]
    assert first(get)["flags"] == []


def test_categories_lead_to_a_search_in_the_language_asked_for(client, get):
    tags = get("categories", "categories", locale="ko_KR")["tags"]
    applause = next(tag for tag in tags if tag["name"] == "박수")
    path = urlsplit(applause["path"])
    assert path.path == "/v2/search" and parse_qs(path.query) == {"q": ["박수"]}
    assert client.get(applause["path"]).json()["results"]


def test_completions_begin_as_typed(get):
    terms = get("autocomplete", "terms", q="HAP", limit=10)["results"]
    assert terms[0] == "happy" and all("hap" in term.lower() for term in terms)


WRONG: list[tuple[str, int]] = [
    *((f"search?q=no&limit={value}", 400) for value in ("0", "-1", "51", "1.5", "x", LONG)),
    *((f"search?q=no&pos={value}", 400) for value in ("-1", "x", "1.x", "9999999999", LONG)),
    *((f"search?q={value}", 400) for value in ("", "%20", LONG)),
    ("search", 400),
    ("random", 400),
    ("search?q=no&media_filter=gif,jpeg", 400),
    (f"search?q=no&media_filter={LONG}", 400),
    ("search?q=no&contentfilter=x", 400),
    ("search?q=no&ar_range=x", 400),
    ("search?q=no&searchfilter=x", 400),
    ("search?q=no&random=maybe", 400),
    ("search?q=no&locale=english!", 400),
    ("search?q=no&country=U!", 400),
    (f"search?q=no&locale={LONG}", 400),
    *((f"search?q=no&{name}=1&{name}=2", 400) for name in ("q", "limit", "pos", "locale")),
    ("featured?limit=51", 400),
    ("categories?type=x", 400),
    ("autocomplete", 400),
    ("search_suggestions", 400),
    ("posts", 400),
    ("posts?ids=,", 400),
    (f"posts?ids={','.join(f'{n:064x}' for n in range(51))}", 400),
    (f"posts?ids={UNKNOWN}", 404),
    ("posts?ids=a", 404),
    (f"registershare?id={UNKNOWN}", 404),
    ("registershare", 400),
    (f"view/{UNKNOWN}", 404),
    (f"view/{LONG}", 404),
    ("trending", 404),
    ("", 404),
    *((f"view/{escape}", 404) for escape in ESCAPES),
    *((escape, 404) for escape in ESCAPES),
]


@pytest.mark.parametrize("address, status", WRONG, ids=[address[:45] for address, _ in WRONG])
def test_wrong_request_is_refused_in_one_sentence_of_tenors_form(client, address, status):
    got, content = raw_get(client, f"/v2/{address}")
    assert got == status, content
    check(content, "tenor", "error")
    error = content["error"]
    assert error["code"] == status
    assert error["status"] == {400: "INVALID_ARGUMENT", 404: "NOT_FOUND"}[status]
    assert 10 < len(error["message"]) < 800 and error["message"].endswith(".")
    assert "Traceback" not in error["message"] and str(Path.home()) not in error["message"]


def test_other_method_is_refused(client):
    response = client.post("/v2/search?q=no")
    assert response.status_code == 405 and response.headers["allow"] == "GET, HEAD"
    check(response.json(), "tenor", "error")


def test_library_that_cannot_be_opened_is_said_without_its_path(tmp_path, monkeypatch):
    monkeypatch.setenv("REACTION_INDEX", str(tmp_path / "gone"))
    response = compatible_client().get("/v2/search?q=no")
    assert response.status_code == 503 and str(tmp_path) not in response.text
    check(response.json(), "tenor", "error")
    assert response.json()["error"]["status"] == "UNAVAILABLE"


def test_gif_on_another_site_has_its_own_address_in_every_format_that_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("REACTION_INDEX", str(build_mixed_bundle(tmp_path)))
    monkeypatch.setenv("REACTION_CACHE", str(tmp_path / "cache"))
    current_renditions.cache_clear()
    answer = compatible_client().get("/v2/featured").json()
    check(answer, "tenor", "results")
    formats = {result["title"][-1]: result["media_formats"] for result in answer["results"]}
    assert formats.keys() == set("0124")  # the file of number 3 is missing
    assert {media["url"] for media in formats["1"].values()} == {ELSEWHERE}
    assert "mp4" not in formats["1"] and formats["1"]["tinygif"]["dims"] == [320, 180]
    assert formats["2"]["mp4"]["url"] == FILM_ELSEWHERE and "gif" not in formats["2"]
    assert formats["4"]["tinywebp"]["dims"] == [133, 400]

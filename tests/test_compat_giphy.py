"""GIPHY's API over this library, as GIPHY's own client speaks it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from retrieval.api.routes import current_searcher
from retrieval.web import current_settings, rendition_url
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
    """The answer of an operation below /v1, in the form that GIPHY documents under a name."""

    def get(path: str, form: str = "gifs", status: int = 200, **parameters: Any) -> Any:
        response = client.get(f"/v1/{path}", params=parameters)
        assert response.status_code == status, response.text
        check(response.json(), "giphy", form)
        return response.json()

    return get


def ids(answer: dict[str, Any]) -> list[str]:
    return [gif["id"] for gif in answer["data"]]


def first(get: Callable[..., Any], message: str = JOB) -> dict[str, Any]:
    return get("gifs/search", q=message, limit=1)["data"][0]


@pytest.mark.parametrize("kind", ["gifs", "stickers"])
def test_every_operation_answers_in_the_documented_form(get, kind):
    gif_id = first(get)["id"]
    for path, form, parameters in (
        ("search", "gifs", {"q": JOB, "rating": "pg-13", "lang": "de", "api_key": "any"}),
        ("trending", "gifs", {}),
        ("related", "gifs", {"gif_id": gif_id}),
        ("categories", "categories", {}),
        ("categories/applause", "categories", {}),
        ("categories/applause/applause", "gifs", {}),
        ("translate", "gif", {"s": JOB}),
        ("random", "gif", {"tag": "cat"}),
        (gif_id, "gif", {}),
        ("search/tags", "terms", {"q": "hap"}),
    ):
        answer = get(f"{kind}/{path}", form, **parameters)
        assert answer["data"], path
        gifs = answer["data"] if form == "gifs" else [answer["data"]] if form == "gif" else []
        assert all(gif["is_sticker"] == (kind == "stickers") for gif in gifs)
    assert ids(get(kind, ids=gif_id)) == [gif_id]


def test_operations_without_gifs_answer_in_the_documented_form(get):
    assert get("tags/related/birthday party", "terms")["data"]
    assert get("trending/searches", "searches")["data"]
    assert get("channels/search", "channels", q="cats")["data"] == []
    one, other = (get("randomid", "random_id")["data"]["random_id"] for _ in range(2))
    assert one != other


def test_every_answer_has_a_response_id_of_its_own(get):
    responses = [get("gifs/search", q=JOB, limit=1)["meta"]["response_id"] for _ in range(3)]
    assert len(set(responses)) == 3


def test_search_ranks_as_the_api_of_this_library_does(client, get):
    own = client.get("/api/v1/search", params={"q": JOB, "limit": 25}).json()
    assert ids(get("gifs/search", q=JOB)) == [gif["id"] for gif in own["gifs"]]


@pytest.mark.parametrize(
    "path, n_expected",
    [
        ("gifs/search?q=so tired", N_DISTINCT),
        ("gifs/trending?", N_DISTINCT),
        ("gifs/categories/applause/applause?", N_DISTINCT),
        ("gifs/related?gif_id={}", N_DISTINCT - 1),
        ('gifs/search?q="cat"', None),  # fewer than there are GIFs: the end is not known before
    ],
)
def test_paging_as_giphys_client_does_ends_without_repeats(client, get, path, n_expected):
    path = path.format(first(get)["id"])
    seen, offset, pages = [], 0, 0
    while True:
        answer = client.get(f"/v1/{path}&limit=40&offset={offset}").json()
        check(answer, "giphy", "gifs")
        seen += ids(answer)
        offset = answer["pagination"]["offset"] + answer["pagination"]["count"]
        pages += 1
        if offset == answer["pagination"]["total_count"]:
            break
        assert pages < 20
    assert len(seen) == len(set(seen)) == (n_expected or len(seen))
    if n_expected is None:
        assert 5 < len(seen) < 30
    beyond = client.get(f"/v1/{path}&offset=5000").json()
    assert beyond["data"] == [] and beyond["pagination"]["count"] == 0


def test_related_gifs_are_alike_and_not_the_gif_itself(get):
    cat = first(get, "crying cat")
    related = get("gifs/related", gif_id=cat["id"], limit=5)
    assert cat["id"] not in ids(related)
    assert sum("cat" in gif["title"] for gif in related["data"]) >= 3


def test_trending_begins_with_one_gif_of_each_kind_of_reaction(get):
    searcher = current_searcher("en")
    main = searcher.expressed.argmax(axis=1)
    shown = ids(get("gifs/trending", limit=20))
    reactions = [main[searcher.collection.records.find(gif_id)] for gif_id in shown]
    assert len(set(reactions)) == 20


def test_ids_lead_back_to_the_gif(client, get):
    found = get("gifs/search", q=JOB, limit=3)["data"]
    one, two, three = (gif["id"] for gif in found)
    alone = get(f"gifs/{one}", "gif")["data"]
    assert alone["images"].pop("original") == found[0]["images"].pop("original")
    # A still is the frame that answers a message best: by id there is no message.
    assert {**alone, "images": {}} == {**found[0], "images": {}}
    assert get(f"gifs/{one[:16]}", "gif")["data"]["id"] == one
    assert ids(get("gifs", ids=f"{three},{UNKNOWN}, {one},{three}")) == [three, one]
    for field in ("url", "bitly_url", "bitly_gif_url", "embed_url"):
        response = client.get(found[1][field])
        assert response.status_code == 307
        assert response.headers["location"] == f"{ROOT}/gif/{two}.gif"
    assert client.get(f"{ROOT}/gif/{two}.gif").content.startswith(b"GIF8")


def test_media_urls_serve_the_stated_dimensions_and_sizes_are_stated_once_rendered(client, get):
    before = first(get)["images"]
    assert before["fixed_width_small"]["webp_size"] == before["fixed_width_still"]["size"] == "0"
    n_bytes = {}
    for name, image in before.items():
        for key in {"url", "webp"} & image.keys():
            response = client.get(image[key])
            assert response.status_code == 200, name
            with Image.open(io.BytesIO(response.content)) as made:
                if key == "url":
                    assert made.size == (int(image["width"]), int(image["height"])), name
                else:  # it may be smaller, in the same proportions
                    assert made.width * int(image["height"]) == made.height * int(image["width"])
            n_bytes[name, "size" if key == "url" else "webp_size"] = str(len(response.content))
    after = first(get)["images"]
    assert {(name, key): after[name][key] for name, key in n_bytes} == n_bytes
    assert before["original"]["size"] == n_bytes["original", "size"]


def test_films_and_gifs_have_addresses_of_renditions(get):
    gif = first(get)
    assert gif["images"]["fixed_width"]["url"] == ROOT + rendition_url(gif["id"], 200, "gif")
    assert gif["images"]["fixed_width"]["mp4"] == ROOT + rendition_url(gif["id"], 200, "mp4")
    assert gif["images"]["preview"]["mp4"] == ROOT + rendition_url(gif["id"], 100, "mp4")
    assert gif["images"]["original"]["url"] == f"{ROOT}/gif/{gif['id']}.gif"


def test_jitsi_meet_gets_the_gif_at_the_address_that_it_makes_of_its_proxy_url(client, get):
    gif = first(get)
    proxy_url = f"{ROOT}/v1/"
    last = gif["embed_url"].rpartition("/")[2]  # as getGifUrl of its GIF menu does
    response = client.get(f"{proxy_url}gifs/id/{last}", follow_redirects=True)
    assert response.headers["content-type"] == "image/gif"


def test_public_address_is_the_one_that_is_set(get, monkeypatch):
    monkeypatch.setenv("REACTION_PUBLIC_URL", "https://gifs.example.org/react/")
    current_settings.cache_clear()
    gif = first(get)
    assert gif["embed_url"] == f"https://gifs.example.org/react/v1/embed/{gif['id']}"
    assert gif["images"]["original"]["url"].startswith("https://gifs.example.org/react/gif/")


def test_address_is_the_one_that_the_request_came_to(client):
    headers = {"host": "chat.lan:8501", "x-forwarded-host": "evil.example"}
    answer = client.get("/v1/gifs/search?q=no&limit=1", headers=headers).json()
    assert answer["data"][0]["images"]["original"]["url"].startswith("http://chat.lan:8501/gif/")


def test_translate_gives_the_best_answer_and_with_weirdness_others(get):
    best = ids(get("gifs/search", q=JOB, limit=50))
    plain = [get("gifs/translate", "gif", s=JOB)["data"]["id"] for _ in range(3)]
    assert plain == [best[0]] * 3
    weird = {get("gifs/translate", "gif", s=JOB, weirdness=4)["data"]["id"] for _ in range(12)}
    assert len(weird) > 1 and weird <= set(best[:21])


def test_random_is_another_gif_each_time_and_with_a_tag_one_that_fits(get):
    assert len({get("gifs/random", "gif")["data"]["id"] for _ in range(8)}) > 1
    best = ids(get("gifs/search", q="cat", limit=50))
    assert all(get("gifs/random", "gif", tag="cat")["data"]["id"] in best for _ in range(5))


def test_categories_have_names_in_the_language_asked_for(get):
    english = get("gifs/categories", "categories")
    korean = get("gifs/categories", "categories", lang="ko")
    names = {category["name_encoded"]: category["name"] for category in korean["data"]}
    assert names["applause"] == "박수"
    assert {category["name_encoded"] for category in english["data"]} == names.keys()
    page = get("gifs/categories", "categories", limit=2, offset=1)
    assert page["data"] == english["data"][1:3] and page["pagination"]["total_count"] == len(names)


def test_completions_begin_as_typed_and_related_terms_share_the_meaning(get):
    terms = [term["name"] for term in get("gifs/search/tags", "terms", q="HAP", limit=10)["data"]]
    assert terms[0] == "happy" and all("hap" in term.lower() for term in terms)
    related = get("tags/related/birthday", "terms", limit=10)["data"]
    names = [term["name"] for term in related]
    assert "birthday" not in names and {"party", "celebration"} & set(names)


def test_analytics_are_taken_unread_and_not_asked_for(client, get):
    assert client.post("/v2/pingback?apikey=x", content=b"{}").status_code == 204
    assert first(get)["analytics_response_payload"] == ""
    assert "analytics" not in first(get)


WRONG: list[tuple[str, int]] = [
    *((f"gifs/search?q=no&limit={value}", 400) for value in ("-1", "51", "1.5", "x", "٣", LONG)),
    *((f"gifs/search?q=no&offset={value}", 400) for value in ("-1", "2147483649", "x", LONG)),
    *((f"gifs/search?q={value}", 400) for value in ("", "%20", LONG)),
    ("gifs/search", 400),
    ("gifs/search?q=no&rating=x", 400),
    ("gifs/search?q=no&lang=english!", 400),
    ("gifs/search?q=-cat", 400),
    (f"gifs/search?q=no&lang={LONG}", 400),
    (f"gifs/search?q=no&rating={LONG}", 400),
    *((f"gifs/search?q=no&{name}=1&{name}=2", 400) for name in ("q", "limit", "offset")),
    ("gifs/translate", 400),
    ("gifs/translate?s=no&weirdness=11", 400),
    ("gifs/translate?s=no&weirdness=-1", 400),
    (f"gifs/random?tag={LONG}", 400),
    ("gifs", 400),
    ("gifs?ids=,", 400),
    (f"gifs?ids={','.join(f'{n:064x}' for n in range(101))}", 400),
    (f"gifs?ids={LONG}", 400),
    (f"gifs?ids={UNKNOWN}", 404),
    ("gifs?ids=a", 404),
    (f"gifs/{UNKNOWN}", 404),
    ("gifs/a", 404),
    (f"gifs/{LONG}", 404),
    (f"gifs/related?gif_id={UNKNOWN}", 404),
    ("gifs/related", 400),
    (f"embed/{UNKNOWN}", 404),
    ("gifs/categories/none", 404),
    ("gifs/categories/applause/none", 404),
    (f"tags/related/{LONG}", 400),
    ("gifs/search/tags", 400),
    ("emoji", 404),
    ("", 404),
    *((f"gifs/{escape}", 404) for escape in ESCAPES),
    *((f"gifs/categories/{escape}", 404) for escape in ESCAPES),
    *((f"embed/{escape}", 404) for escape in ESCAPES),
]


@pytest.mark.parametrize("address, status", WRONG, ids=[address[:45] for address, _ in WRONG])
def test_wrong_request_is_refused_in_one_sentence_of_giphys_form(client, address, status):
    got, content = raw_get(client, f"/v1/{address}")
    assert got == status, content
    check(content, "giphy", "error")
    assert content["meta"]["status"] == status
    sentence = content["meta"]["msg"]
    assert 10 < len(sentence) < 400 and sentence.endswith(".")
    assert "Traceback" not in sentence and str(Path.home()) not in sentence


def test_other_method_is_refused(client):
    response = client.post("/v1/gifs/search?q=no")
    assert response.status_code == 405 and response.headers["allow"] == "GET, HEAD"
    check(response.json(), "giphy", "error")


def test_library_that_cannot_be_opened_is_said_without_its_path(tmp_path, monkeypatch):
    monkeypatch.setenv("REACTION_INDEX", str(tmp_path / "gone"))
    response = compatible_client().get("/v1/gifs/search?q=no")
    assert response.status_code == 503 and str(tmp_path) not in response.text
    check(response.json(), "giphy", "error")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_mixed_bundle(tmp_path_factory.mktemp("mixed"))


@pytest.fixture
def of_mixed(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The answer with all GIFs of the mixed bundle by their titles' last words."""
    monkeypatch.setenv("REACTION_INDEX", str(mixed))
    monkeypatch.setenv("REACTION_CACHE", str(tmp_path))
    current_renditions.cache_clear()
    answer = compatible_client().get("/v1/gifs/trending").json()
    return {**answer, "by_number": {gif["title"][-1]: gif for gif in answer["data"]}}


def test_gif_whose_file_is_missing_is_left_out_and_takes_its_place(of_mixed):
    assert sorted(of_mixed["by_number"]) == ["0", "1", "2", "4"]
    assert of_mixed["pagination"] == {"total_count": 5, "count": 5, "offset": 0}


def test_gif_on_another_site_has_its_own_address_in_every_form_that_it_is(of_mixed):
    images = of_mixed["by_number"]["1"]["images"]
    addresses = {image[key] for image in images.values() for key in ("url", "mp4", "webp")
                 if key in image}  # fmt: skip
    assert addresses == {ELSEWHERE}
    assert {(image["width"], image["height"]) for image in images.values()} == {("320", "180")}
    assert "mp4" not in images["original"] and "webp" not in images["fixed_width"]
    film = of_mixed["by_number"]["2"]["images"]
    assert film["original_mp4"]["mp4"] == film["original"]["mp4"] == FILM_ELSEWHERE


def test_original_of_another_format_is_offered_as_a_gif_that_is_not_enlarged(of_mixed):
    gif = of_mixed["by_number"]["0"]
    original = gif["images"]["original"]
    assert original["url"] == ROOT + rendition_url(gif["id"], 480, "gif")
    assert (original["width"], original["height"]) == ("480", "270")


def test_fixed_heights_are_the_renditions_nearest_to_them(of_mixed):
    wide, tall = (of_mixed["by_number"][number]["images"] for number in "04")
    sizes = [
        (images[name]["width"], images[name]["height"])
        for images in (wide, tall)
        for name in ("fixed_width", "fixed_height", "fixed_height_small")
    ]
    assert sizes == [
        ("200", "112"), ("480", "270"), ("200", "112"),
        ("133", "400"), ("67", "200"), ("67", "200"),
    ]  # fmt: skip

"""The OpenAPI document against the routes, the parameters that are read, and real answers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate
from starlette.datastructures import QueryParams
from starlette.testclient import TestClient

from retrieval.api import API_ROUTE, Service, create_app
from retrieval.api.operations import openapi_document
from retrieval.api.questions import DEFAULT_LIMIT, LISTS, MAX_LIMIT, parse_question
from retrieval.library import SIGNALS
from retrieval.search import FUSIONS
from retrieval.web import LANGUAGES, current_settings
from tests.support.api import loaded
from tests.support.signal_bundle import build_signal_bundle

DOCUMENT = openapi_document()
SEARCH = DOCUMENT["paths"][f"{API_ROUTE}/search"]["get"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        built = build_signal_bundle(tmp_path_factory.mktemp("openapi"))
        patch.setenv("REACTION_INDEX", str(built))
        patch.setenv("REACTION_CACHE", str(tmp_path_factory.mktemp("cache")))
        current_settings.cache_clear()
        with TestClient(create_app()) as started:
            yield loaded(started)
    current_settings.cache_clear()


def documented() -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, of in DOCUMENT["paths"].items() for method in of}


def test_document_is_valid_openapi():
    validate(DOCUMENT)


def test_every_route_of_the_native_api_is_documented_and_nothing_else():
    routes = {
        (route.path, method)
        for route in Service().routes
        if route.path.startswith(f"{API_ROUTE}/") and not route.path.endswith("{rest:path}")
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert documented() == routes


def test_every_parameter_that_a_search_reads_is_documented():
    source = Path(__file__).parents[1] / "retrieval/api/questions.py"
    read = set(
        re.findall(
            r'(?:get|getlist)\("(\w+)"|_(?:number|switch)\(parameters, "(\w+)"',
            source.read_text(encoding="utf-8"),
        )
    )
    named = {name for pair in read for name in pair if name}
    given = {p.get("name", "lang"): p for p in SEARCH["parameters"]}
    assert set(given) == named
    assert {n for n, p in given.items() if p.get("schema", {}).get("type") == "array"} == LISTS


def test_constants_in_the_document_are_those_of_the_code():
    schemas = {p["name"]: p["schema"] for p in SEARCH["parameters"] if "name" in p}
    assert schemas["limit"]["maximum"] == MAX_LIMIT
    assert schemas["limit"]["default"] == DEFAULT_LIMIT
    assert tuple(schemas["signals"]["items"]["enum"]) == SIGNALS
    assert tuple(schemas["fusion"]["enum"]) == FUSIONS
    assert DOCUMENT["components"]["parameters"]["lang"]["schema"]["enum"] == list(LANGUAGES)
    for name, schema in schemas.items():
        for bound in ("minimum", "maximum"):
            if bound in schema:
                parse_question(QueryParams({name: str(schema[bound])}))  # is allowed


def check(client: TestClient, path: str, template: str = "", **parameters: Any) -> Any:
    """Ask, and compare the answer with the schema of its status."""
    response = client.get(path, params=parameters)
    responses = DOCUMENT["paths"][template or path]["get"]["responses"]
    said = responses.get(str(response.status_code), responses.get("default", {}))
    if "$ref" in said:
        said = DOCUMENT["components"]["responses"][said["$ref"].rpartition("/")[2]]
    media = response.headers["content-type"].partition(";")[0]
    schema = {**said["content"][media]["schema"], "components": DOCUMENT["components"]}
    body = response.json() if media.endswith("json") else response.text
    jsonschema.validate(body, schema)
    return response


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"q": "I got the job"},
        {"q": "thank you", "not": "angry", "signals": ["words", "names"], "fusion": "rrf"},
        {"q": '"nobody ever says this"'},
        {"browse": "applause"},
        {"surprise": 7, "limit": 3},
    ],
)
def test_search_answers_as_documented(client: TestClient, parameters: dict[str, Any]):
    assert check(client, f"{API_ROUTE}/search", **parameters).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        n
        for p, m in sorted(documented())
        if m == "GET" and "{" not in p and (n := p[8:]) != "search"
    ],
)
def test_operation_answers_as_documented(client: TestClient, name: str):
    assert check(client, f"{API_ROUTE}/{name}").status_code in (200, 202)


def test_gif_and_problems_answer_as_documented(client: TestClient):
    gif_id = client.get(f"{API_ROUTE}/search").json()["gifs"][0]["id"]
    template = f"{API_ROUTE}/gifs/{{gif_id}}"
    assert check(client, f"{API_ROUTE}/gifs/{gif_id}", template).status_code == 200
    assert check(client, f"{API_ROUTE}/gifs/nope", template).status_code == 404
    assert check(client, f"{API_ROUTE}/search", limit=0).status_code == 422


def test_signals_narrow_what_is_ranked_by(client: TestClient):
    answer = client.get(f"{API_ROUTE}/search", params={"q": "hello", "signals": "names"}).json()
    assert answer["signals"] == ["names"]
    assert all(set(gif["shares"]) <= {"names"} for gif in answer["gifs"])
    for name, value in (("signals", "smell"), ("fusion", "cold")):
        wrong = client.get(f"{API_ROUTE}/search", params={"q": "hello", name: value})
        assert wrong.status_code == 422
        assert f"The parameter {name} is '{value}'; expected one of" in wrong.json()["detail"]


def test_docs_name_every_operation_and_fetch_nothing(client: TestClient):
    page = client.get(f"{API_ROUTE}/docs")
    assert all(path in page.text for path in DOCUMENT["paths"])
    assert not re.search(r'(src|href)="(?:https?:)?//', page.text) and "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]

"""Keys, rate limits, CORS, metrics, and what is refused before an operation sees it."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FakeEncoder
from starlette.testclient import TestClient

from retrieval.api import API_ROUTE
from retrieval.api.access import COOKIE, GuardAccess
from retrieval.api.keys import FILE, KEY_PREFIX, KeyRing, create_key, read_keys, revoke_key
from retrieval.cli import main
from retrieval.errors import SettingsError
from retrieval.library import Bundle
from retrieval.web import current_settings
from tests.support import api
from tests.support.api import LOCAL, started_client
from tests.support.compatible import check

CATEGORIES, STATE = f"{API_ROUTE}/filters", f"{API_ROUTE}/state"


@pytest.fixture
def client(
    bundle: Bundle, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    with started_client(bundle.path, tmp_path / "data", encoder, monkeypatch) as started:
        yield started


@pytest.fixture
def configure(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    def set_to(**values: str) -> Path:
        api.configure(monkeypatch, **values)
        return current_settings().data

    return set_to


def test_key_is_stored_as_a_hash_that_only_its_owner_reads(tmp_path: Path):
    key = create_key(tmp_path, "office chat")
    assert key.startswith(KEY_PREFIX) and len(key) > 40
    stored = (tmp_path / FILE).read_text()
    assert key not in stored and key.removeprefix(KEY_PREFIX) not in stored
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [known.name for known in read_keys(tmp_path)] == ["office chat"]
    with pytest.raises(SettingsError, match="There is a key 'office chat' already"):
        create_key(tmp_path, "office chat")


def test_running_server_sees_new_and_revoked_keys(tmp_path: Path):
    ring = KeyRing(tmp_path)
    first = create_key(tmp_path, "a")
    assert ring.name_of(first) == "a"
    second = create_key(tmp_path, "b")
    assert ring.name_of(second) == "b"
    revoke_key(tmp_path, "a")
    assert ring.name_of(first) is None and ring.name_of(second) == "b"
    with pytest.raises(SettingsError, match="There is no key 'a'"):
        revoke_key(tmp_path, "a")


def test_damaged_list_of_keys_is_not_overwritten(tmp_path: Path):
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(SettingsError, match="is no list of API keys"):
        create_key(tmp_path, "a")
    assert (tmp_path / FILE).read_text() == "{}"


def test_command_creates_lists_and_revokes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def keys(*args: str) -> str:
        main(["keys", *args, "--data", str(tmp_path)])
        return capsys.readouterr().out

    assert "No keys" in keys("list")
    key = keys("create", "a").strip()
    assert KeyRing(tmp_path).name_of(key) == "a"
    assert keys("list").split()[1:] == ["a"] and key not in keys("list")
    assert keys("revoke", "a") == "Revoked: a\n"


def test_without_settings_nothing_is_asked_for(client: TestClient):
    response = client.get(CATEGORIES, headers={"X-API-Key": "anything"})
    assert response.status_code == 200 and "ratelimit" not in response.headers


@pytest.mark.parametrize(
    "given",
    [
        lambda key: {"headers": {"Authorization": f"Bearer {key}"}},
        lambda key: {"headers": {"X-API-Key": key}},
        lambda key: {"params": {"api_key": key}},
        lambda key: {"params": {"key": key}},
    ],
)
def test_required_key_is_taken_from_where_clients_put_it(client: TestClient, configure, given):
    data = configure(API_KEYS="required")
    refused = client.get(CATEGORIES)
    assert refused.status_code == 401 and refused.json()["code"] == "api_key"
    assert refused.headers["www-authenticate"] == "Bearer"
    key = create_key(data, "a")
    assert client.get(CATEGORIES, **given(key)).status_code == 200
    assert client.get(CATEGORIES, **given(key + "x")).status_code == 401
    revoke_key(data, "a")
    gone = client.get(CATEGORIES, **given(key))
    assert gone.status_code == 401 and key not in gone.text


def test_optional_key_may_be_missing_but_not_wrong(client: TestClient, configure):
    configure(API_KEYS="optional")
    assert client.get(CATEGORIES).status_code == 200
    assert client.get(CATEGORIES, params={"api_key": "wrong"}).status_code == 401


def test_compatible_services_say_in_their_own_form_that_a_key_is_missing(client, configure):
    data = configure(API_KEYS="required")
    giphy, tenor = (client.get(f"{service}?q=hi") for service in ("/v1/gifs/search", "/v2/search"))
    assert giphy.status_code == tenor.status_code == 401
    check(giphy.json(), "giphy", "error")
    check(tenor.json(), "tenor", "error")
    assert giphy.json()["meta"]["msg"].startswith("This server asks for an API key")
    key = create_key(data, "a")
    assert client.get(f"/v1/gifs/search?q=hi&api_key={key}").status_code == 200
    assert client.get(f"/v2/search?q=hi&key={key}").status_code == 200


def test_monitors_and_readers_need_no_key(client: TestClient, configure):
    configure(API_KEYS="required")
    for name in ("health", "ready", "openapi.json", "docs"):
        assert client.get(f"{API_ROUTE}/{name}").status_code == 200, name


def test_page_gets_a_cookie_with_its_html_and_forged_ones_are_refused(
    client: TestClient, configure
):
    configure(API_KEYS="required")
    page = client.get(f"{API_ROUTE}/docs")  # any HTML of this server
    cookie = page.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert client.get(CATEGORIES).status_code == 200  # the client keeps cookies
    until, _, signature = client.cookies[COOKIE].partition(".")
    for forged in (f"{int(until) + 1}.{signature}", f"{until}.{'0' * 64}", "1", "", "é.x"):
        client.cookies.clear()
        headers = {"Cookie": f"{COOKIE}={forged}".encode()}
        assert client.get(CATEGORIES, headers=headers).status_code == 401, forged
    own = {"Sec-Fetch-Site": "same-origin", "Origin": LOCAL}
    assert client.get(CATEGORIES, headers=own).status_code == 401  # any program can send these


def test_rate_limit_counts_each_key_and_each_address(client: TestClient, configure):
    data = configure(API_KEYS="optional", RATE_LIMIT="3/minute")
    key = {"X-API-Key": create_key(data, "a")}
    answers = [client.get(CATEGORIES) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert answers[0].headers["ratelimit"].startswith('"default";r=2;t=')
    over = answers[3]
    assert 1 <= int(over.headers["retry-after"]) <= 120 and over.json()["code"] == "rate_limit"
    assert client.get(CATEGORIES, headers=key).status_code == 200  # of its own count
    wrong = client.get(CATEGORIES, headers={"X-API-Key": "guess"})
    assert wrong.status_code == 429  # guesses count for the address
    assert client.get(f"{API_ROUTE}/health").status_code == 200


def test_forwarded_address_is_not_believed_by_itself(client: TestClient, configure):
    configure(RATE_LIMIT="1/minute")
    first, second = (
        client.get(CATEGORIES, headers={"X-Forwarded-For": f"192.0.2.{n}"}) for n in (1, 2)
    )
    assert (first.status_code, second.status_code) == (200, 429)


def cors(client: TestClient, origin: str, server: str = LOCAL) -> str | None:
    url = f"{server}{CATEGORIES}"
    return client.get(url, headers={"Origin": origin}).headers.get("access-control-allow-origin")


def test_pages_of_this_machine_may_read_answers_while_the_server_is_on_loopback(client: TestClient):
    for origin in ("http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"):
        assert cors(client, origin) == origin
    for origin in ("https://evil.example", "http://localhost.evil.example", "null"):
        assert cors(client, origin) is None
    assert cors(client, "http://localhost:3000", "http://192.0.2.1") is None


def test_configured_origins_may_read_answers_and_preflight(client: TestClient, configure):
    configure(CORS="https://chat.example.org", API_KEYS="required")
    origin = {"Origin": "https://chat.example.org"}
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "X-API-Key"}
    preflight = client.options(CATEGORIES, headers={**origin, **asked})
    assert preflight.status_code == 200  # a preflight request carries no key
    assert "X-API-Key" in preflight.headers["access-control-allow-headers"]
    refused = client.get(CATEGORIES, headers=origin)
    assert refused.status_code == 401  # and the page may read why
    assert refused.headers["access-control-allow-origin"] == origin["Origin"]
    assert "access-control-allow-credentials" not in refused.headers
    assert cors(client, "http://localhost:3000") is None
    configure(CORS="off")
    assert cors(client, "https://chat.example.org") is None


def test_metrics_are_shown_if_they_are_set_and_name_no_visitor(client: TestClient, configure):
    assert client.get("/metrics").status_code == 404
    configure(METRICS="on")
    client.get(f"{API_ROUTE}/search", params={"q": "a secret message"})
    client.get(f"{API_ROUTE}/gifs/unknown-{'x' * 20}")
    client.get("/nothing/here")
    shown = client.get("/metrics")
    assert shown.headers["content-type"].startswith("text/plain")
    lines = shown.text.splitlines()
    route = f'route="{API_ROUTE}/search"'
    assert f'reaction_http_requests_total{{method="GET",{route},status="200"}} 1.0' in lines
    unknown = f'method="GET",route="{API_ROUTE}/gifs/{{gif_id}}",status="404"'
    assert f"reaction_http_requests_total{{{unknown}}} 1.0" in lines
    other = 'reaction_http_requests_total{method="GET",route="other",status="404"} 1.0'
    assert other in lines
    assert "reaction_searches_total 1.0" in lines
    assert "reaction_library_gifs 4.0" in lines and "reaction_library_ready 1.0" in lines
    assert "reaction_renditions_made_total 0.0" in lines
    assert not any(word in shown.text for word in ("secret", "unknown-", "nothing/here"))


LONG = "x" * 20_000  # the test client takes no more; tests/test_api_only.py sends 100,000
BAD: list[tuple[str, dict[str, object], int, str]] = [
    ("search", {"limit": 0}, 422, "a whole number from 1 to 120"),
    ("search", {"limit": "ten"}, 422, "The parameter limit is 'ten'"),
    ("search", {"limit": "1e400"}, 422, "limit"),
    ("search", {"limit": ["1", "2"]}, 422, "limit is given 2 times"),
    ("search", {"q": ["a", "b"]}, 422, "q is given 2 times"),
    ("search", {"offset": -1}, 422, "offset"),
    ("search", {"offset": 10**30}, 422, "offset"),
    ("search", {"min": "nan"}, 422, "min"),
    ("search", {"fold": "maybe"}, 422, "0 or 1"),
    ("search", {"only": "../../etc"}, 422, "one of"),
    ("search", {"lang": "xx"}, 422, "one of en, ko"),
    ("search", {"like": "nope"}, 404, "No GIF nope"),
    ("search", {"picture": "nope"}, 410, "no longer in memory"),
    ("search", {"mine": "nope"}, 410, "no longer in memory"),
    ("search", {"q": "x" * 3_000}, 422, "3,000"),
    ("search", {"surprise": "\x00"}, 422, "surprise"),
    ("gifs/unknown", {}, 404, "No GIF unknown"),
    ("gifs/..%2f..%2fetc%2fpasswd", {}, 404, "No operation"),
    ("%2e%2e/%2e%2e/etc/passwd", {}, 404, ""),
    ("gifs/%00", {}, 404, "No operation"),
    ("duplicates", {"limit": "-1"}, 422, "limit"),
    *((name, {"limit": LONG}, 414, "expected at most") for name in ("search", "duplicates")),
    *(("search", {name: LONG}, 414, "expected at most") for name in ("q", "like", "tag", "x")),
    (f"gifs/{'x' * 10_000}", {}, 414, "expected at most"),
]


@pytest.mark.parametrize(("path", "parameters", "status", "said"), BAD)
def test_bad_input_gets_a_4xx_with_one_sentence(
    client: TestClient, path: str, parameters: dict[str, object], status: int, said: str
):
    response = client.get(f"{API_ROUTE}/{path}", params=parameters)
    assert response.status_code == status, response.text
    problem = response.json()
    assert said in problem["detail"] and len(problem["detail"]) < 1_500
    assert "Traceback" not in response.text and "\n" not in problem["detail"]


@pytest.mark.parametrize("path", ["/gif/..%2f..%2fetc%2fpasswd", "/gif/%2e%2e/x.gif", "/still/a/b"])
def test_addresses_below_media_that_are_none_of_ours_are_refused(client: TestClient, path: str):
    response = client.get(path)
    assert response.status_code == 404 and response.text == "No GIF at this address."


def test_wrong_setting_is_reported_by_every_operation(client: TestClient, configure, monkeypatch):
    monkeypatch.setenv("REACTION_RATE_LIMIT", "fast")
    current_settings.cache_clear()
    response = client.get(STATE)
    assert response.status_code == 503
    assert json.loads(response.text)["detail"].startswith("REACTION_RATE_LIMIT is 'fast'; expected")
    monkeypatch.delenv("REACTION_RATE_LIMIT")


def test_guard_leaves_other_paths_alone():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    assert TestClient(GuardAccess(app, {})).get(f"/anything?q={LONG}").status_code == 204
    assert seen == ["/anything"]

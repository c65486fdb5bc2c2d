"""The page and the API in public: their names, who may send, what they tell, how they end."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import FakeEncoder
from starlette.testclient import TestClient

from retrieval.api import API_ROUTE
from retrieval.library import Bundle
from retrieval.paths import ROOT
from tests.support import api
from tests.support.api import LOCAL, started_client
from tests.support.server import serving, serving_api


@pytest.fixture
def client(
    bundle: Bundle, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """The API over four GIFs, with votes, as a program on this machine asks it."""
    monkeypatch.setenv("REACTION_FEEDBACK", "on")
    with started_client(bundle.path, tmp_path / "data", encoder, monkeypatch) as started:
        yield started


@pytest.fixture
def configure(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    return partial(api.configure, monkeypatch)


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


# Names of the server ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8501", "[::1]:8501", "192.168.1.5", "a.localhost", "LOCALHOST"]
)
def test_loopback_is_asked_by_its_own_names(client: TestClient, host: str):
    assert client.get(f"{API_ROUTE}/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.net"])
def test_name_of_another_that_leads_to_loopback_is_refused(client: TestClient, host: str):
    refused = client.get(f"{API_ROUTE}/search?q=red", headers={"Host": f"{host}:8501"})
    assert refused.status_code == 421 and refused.json()["code"] == "host"
    assert f"asked as {host}" in refused.json()["detail"]
    assert f"REACTION_HOSTS={host}" in refused.json()["detail"]
    # A container or a proxy passes on names that nobody here knows.
    elsewhere = client.get(f"http://192.0.2.1{API_ROUTE}/state", headers={"Host": host})
    assert elsewhere.status_code == 200


def test_names_of_the_settings_are_answered_to(client: TestClient, configure):
    def status(host: str, server: str = LOCAL) -> int:
        return client.get(f"{server}{API_ROUTE}/state", headers={"Host": host}).status_code

    configure(PUBLIC_URL="https://gifs.example.org/x")
    assert (status("gifs.example.org"), status("other.example.org")) == (200, 421)
    configure(HOSTS="cats.example.net, *.example.com")
    assert [status(h) for h in ("cats.example.net", "a.example.com", "example.com")] == [
        200, 200, 421,
    ]  # fmt: skip
    assert status("other.example.org", "http://192.0.2.1") == 421  # once listed, everywhere


def test_websocket_of_another_name_is_refused(page_address: str):
    port = int(page_address.rpartition(":")[2])

    def handshake(host: str) -> str:
        lines = (
            "GET /_stcore/stream HTTP/1.1",
            f"Host: {host}",
            f"Origin: http://{host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            return connection.recv(100).decode("latin-1").split("\r\n")[0]

    assert "101" in handshake(f"127.0.0.1:{port}")
    assert "403" in handshake(f"evil.example:{port}")


# What other pages may send ----------------------------------------------------------------------

OTHER = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.mark.parametrize("path", ["votes", "pictures", "mine"])
@pytest.mark.parametrize(
    "headers",
    [
        OTHER,
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=["cross-site", "old browser", "sandboxed frame", "no origin"],
)
def test_page_of_another_site_sends_nothing_on_behalf_of_a_visitor(
    client: TestClient, path: str, headers: dict[str, str]
):
    body, plain = json.dumps({"question": "x"}), {"Content-Type": "text/plain"}
    refused = client.post(f"{API_ROUTE}/{path}", content=body, headers={**headers, **plain})
    assert (refused.status_code, refused.json()["code"]) == (403, "origin")
    forgotten = client.delete(f"{API_ROUTE}/mine/abc", headers=headers)
    assert forgotten.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": LOCAL},
        {"Origin": "https://gifs.example.org", "Sec-Fetch-Site": "same-origin"},  # renaming proxy
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"},  # CORS allows it
    ],
    ids=["program", "own page", "behind a proxy", "page of this machine"],
)
def test_own_page_and_programs_send(client: TestClient, headers: dict[str, str]):
    answered = client.post(f"{API_ROUTE}/pictures", content=b"no picture", headers=headers)
    assert answered.status_code == 422
    assert client.get(f"{API_ROUTE}/state", headers=OTHER).status_code == 200  # changes nothing


def test_origin_of_the_settings_sends(client: TestClient, configure):
    def status(origin: str) -> int:
        url = f"http://192.0.2.1{API_ROUTE}/pictures"
        return client.post(url, content=b"x", headers={"Origin": origin}).status_code

    configure(CORS="https://chat.example.org")
    assert (status("https://chat.example.org"), status("http://localhost:3000")) == (422, 403)
    configure(CORS="off", PUBLIC_URL="https://gifs.example.org")
    assert (status("https://gifs.example.org"), status("https://chat.example.org")) == (422, 403)
    configure(CORS="*")
    assert status("https://any.example") == 422


# What is not there ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/_stcore/upload_file/session/file"),
        ("DELETE", "/_stcore/upload_file/session/file"),
        ("POST", "/_stcore/health"),
        ("GET", "/_stcore/metrics"),
        ("POST", "/_stcore/agent/interact"),
        ("GET", "/_stcore/agent/openapi.json"),
        ("GET", "/auth/login"),
        ("GET", "/component/a/b"),
    ],
)
def test_routes_of_streamlit_that_the_page_does_not_use_are_closed(
    page_address: str, method: str, path: str
):
    assert get(page_address + path, method)[0] == 404
    assert get(f"{page_address}/_stcore/health")[0] == 200


ODD = (
    "", "?q=%00", "?q=" + "x" * 3000, "?limit=-1", "?offset=1e9", "?like=../../etc", "?lang=/",
    "?mine=%2Fhome", "?picture=%F0", "?min=nan", "?q=a&q=b", "?%FF=%FE", "?surprise=/tmp",
)  # fmt: skip
ODD_PATHS = (
    "/", "/api/v1/search", "/api/v1/filters", "/api/v1/categories", "/api/v1/state",
    "/api/v1/library", "/api/v1/map", "/api/v1/duplicates", "/api/v1/gifs/..%2f..%2fetc",
    "/api/v1/mine/%2e%2e", "/api/v1/openapi.json", "/api/v1/docs", "/gif/../../etc/passwd",
    "/gif/%2e%2e%2f.gif", "/still/x/0/200.webp", "/rendition/x/1.webp", "/v1/gifs/search",
    "/v1/gifs/random", "/v2/search", "/v2/posts", "/integrations/slack", "/frontend/x/search.js",
    "/_stcore/host-config", "/_stcore/bidi-components/x/y", "/media/../x", "/static/../../app.py",
)  # fmt: skip


@pytest.mark.parametrize("is_damaged", [False, True], ids=["whole", "damaged"])
@pytest.mark.parametrize("kind", [serving, serving_api])
def test_no_answer_has_a_path_of_the_host(kind, is_damaged: bool, bundle: Bundle, tmp_path: Path):
    folder = tmp_path / "secret-folder"
    bundle.path.rename(folder)  # its checkpoint is of this test alone: it cannot be loaded
    if is_damaged:
        (folder / "catalog.parquet").write_bytes(b"damaged")
    environment = {"REACTION_INDEX": str(folder), "REACTION_DATA": str(tmp_path / "data")}
    told = (str(tmp_path), tmp_path.name, str(ROOT), str(Path.home()), "site-packages", "Traceback")
    seen = set()
    with kind(environment=environment) as server:
        for path in ODD_PATHS:
            for query in ODD:
                status, headers, body = get(server.address + path + query)
                text = f"{headers}{body.decode('utf-8', 'replace')}"
                assert not [name for name in told if name in text], (path, query, text[:500])
                seen.add(status)
        for path in ("pictures", "mine", "votes"):
            _, _, body = get(f"{server.address}{API_ROUTE}/{path}", "POST")
            assert not [name for name in told if name.encode() in body]
    assert {404, 503} <= seen


# The end of a server ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [serving, serving_api])
def test_server_ends_within_five_seconds_while_clients_send_and_listen(kind):
    with kind() as server:
        address = ("127.0.0.1", server.port)
        uploading = socket.create_connection(address)
        uploading.sendall(
            b"POST /api/v1/pictures HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 50000000\r\n\r\n" + bytes(1_000_000)
        )
        silent = socket.create_connection(address)
        silent.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        listening = socket.create_connection(address)
        listening.sendall(
            b"GET /_stcore/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert listening.recv(100)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
        assert time.monotonic() - start < 5
        for connection in (uploading, silent, listening):
            connection.close()

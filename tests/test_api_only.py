"""`reaction-search serve --api-only`: a real server without Streamlit, over the starter library."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.api import API_ROUTE
from retrieval.api.keys import create_key
from retrieval.paths import ROOT
from tests.support.server import Server, serving_api

SEARCH = f"{API_ROUTE}/search?q=I+got+the+job&limit=3"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    cache = {"REACTION_CACHE": str(tmp_path_factory.mktemp("cache"))}
    with serving_api(cache, wait_for=f"{API_ROUTE}/ready") as started:
        yield started


def get(server: Server, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    is_json = "json" in response.headers.get("content-type", "")
    return response.status, json.loads(body) if is_json else body


def test_search_media_and_document_are_served(server: Server):
    status, answer = get(server, SEARCH)
    assert status == 200 and len(answer["gifs"]) == 3
    best = answer["gifs"][0]
    for name in ("file", "preview", "still"):
        status, data = get(server, f"/{best[name]}")
        assert status == 200 and data[:3] in (b"GIF", b"RIF"), name
    assert get(server, f"{API_ROUTE}/openapi.json")[1]["openapi"].startswith("3.1")
    assert get(server, "/")[0] == 307


def test_address_without_an_operation_is_a_problem(server: Server):
    for path in ("/nothing", "/_stcore/health", f"{API_ROUTE}/nothing"):
        status, problem = get(server, path)
        assert status == 404 and problem["title"] == "Not Found", path


def test_answers_on_an_open_connection_are_sent_at_once(server: Server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        connection.request("GET", f"{API_ROUTE}/health")
        connection.getresponse().read()
        times.append(time.perf_counter() - start)
    connection.close()
    assert sorted(times)[6] < 0.03  # 40 ms and more where a socket waits to send


def test_every_parameter_of_100_000_characters_is_refused_in_one_sentence(server: Server):
    paths = get(server, f"{API_ROUTE}/openapi.json")[1]["paths"]
    names = [p["name"] for p in paths[f"{API_ROUTE}/search"]["get"]["parameters"] if "name" in p]
    assert len(names) > 15
    for name in [*names, "lang", "api_key"]:
        status, problem = get(server, f"{API_ROUTE}/search?{name}={'x' * 100_000}")
        assert status == 414 and problem["detail"].count(".") == 1, name


def test_server_imports_neither_streamlit_nor_pandas():
    program = (
        "import sys, time\n"
        "from starlette.testclient import TestClient\n"
        "from retrieval.api.application import create_app\n"
        "with TestClient(create_app()) as client:\n"
        f"    while client.get('{API_ROUTE}/ready').status_code != 200: time.sleep(0.05)\n"
        f"    assert client.get('{SEARCH}').json()['gifs']\n"
        "heavy = {'streamlit', 'pandas', 'sklearn', 'scipy', 'torch', 'rapidocr', 'tesserocr',"
        " 'av', 'imageio', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_server_is_healthy_before_it_is_ready_and_ends_soon(tmp_path: Path):
    data = tmp_path / "data"
    key = create_key(data, "a")
    environment = {"REACTION_API_KEYS": "required", "REACTION_DATA": str(data)}
    log = tmp_path / "log"
    with log.open("wb") as file, serving_api(environment, log=file) as server:
        assert get(server, f"{API_ROUTE}/ready")[0] in (200, 503)
        assert get(server, SEARCH)[0] == 401
        deadline = time.monotonic() + 60
        while get(server, f"{SEARCH}&api_key={key}")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) in (0, -signal.SIGTERM)
    assert key not in log.read_text() and "got+the+job" not in log.read_text()


def test_invalid_setting_ends_the_command_with_one_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "retrieval.cli", "serve", "--api-only"],
        env={"PATH": "", "PYTHONPATH": str(ROOT), "HOME": "/", "REACTION_API_KEYS": "maybe"},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "REACTION_API_KEYS is 'maybe'; expected one of off, optional, required" in done.stderr

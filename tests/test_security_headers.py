"""What browsers are told with each answer, and what they make of it."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser
from test_public_server import get

from retrieval.api import API_ROUTE
from retrieval.paths import ROOT
from tests.support.browser import ANSWER, TIMEOUT_MS, visit
from tests.support.server import Server, serving_api

POLICY = "content-security-policy"
STRICT = "default-src 'none'"


@pytest.fixture(scope="module")
def api_server() -> Iterator[Server]:
    with serving_api(wait_for=f"{API_ROUTE}/ready") as server:
        yield server


ANSWERS = (
    "/api/v1/search?q=hello",
    "/api/v1/search?q=",
    "/api/v1/nothing",
    "/api/v1/openapi.json",
    "/api/v1/docs",
    "/gif/nothing.gif",
    "/v1/gifs/search?q=hello",
    "/v2/search?q=hello",
    "/metrics",
)


def test_every_answer_of_the_api_forbids_a_browser_to_make_anything_of_it(api_server: Server):
    for path in (*ANSWERS, "/nothing"):
        _, headers, _ = get(api_server.address + path)
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "same-origin", path
        assert headers[POLICY].startswith(STRICT), path
        assert "unsafe-eval" not in headers[POLICY] and "script-src" not in headers[POLICY], path
    _, headers, _ = get(f"{api_server.address}/api/v1/search?q=hello")
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers[POLICY]


def test_every_answer_of_the_page_has_a_policy(page_address: str):
    for path in (*ANSWERS, "/_stcore/health", "/media/nothing", "/frontend/x/y.js"):
        _, headers, _ = get(page_address + path)
        assert headers["x-content-type-options"] == "nosniff", path
        assert POLICY in headers, path
    for path in ("/", "/library", "/about", "/no/such/page"):
        _, headers, html = get(page_address + path)
        policy = headers[POLICY]
        assert policy.startswith(STRICT) and "frame-ancestors 'self'" in policy
        (scripts,) = re.findall(r"script-src ([^;]*)", policy)
        assert "unsafe" not in scripts and "http" not in scripts, path
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
    assert b"<html" in html


def test_policy_leaves_the_pages_whole_and_blocks_what_is_not_theirs(
    page_address: str, browser: Browser
):
    said: list[str] = []
    with visit(browser, "about:blank", 1200, "policy") as page:
        page.on("console", lambda message: said.append(message.text))
        page.goto(page_address)
        page.wait_for_selector(ANSWER)
        page.locator("[data-testid=stApp]").wait_for(state="attached")
        starter = ROOT / "index" / "starter" / "media"
        files = [starter / f"{name}.gif" for name in ("red-heart", "party-popper")]
        page.locator("input[type=file]").last.set_input_files(files)
        page.get_by_text("in: your 2 pictures").wait_for()
        for path in ("/library", "/about"):
            page.goto(page_address + path)
            page.locator(".reaction-library, .reaction-about, h1").first.wait_for()
        assert [text for text in said if "Content Security Policy" in text] == []
        page.evaluate(
            """() => {
                const inline = document.createElement("script");
                inline.textContent = "window.ran = true";
                const foreign = document.createElement("script");
                foreign.src = "http://example.org/x.js";
                document.head.append(inline, foreign);
            }"""
        )
        page.wait_for_function("() => true")
        assert page.evaluate("() => window.ran") is None
        blocked = [text for text in said if "Content Security Policy" in text]
        assert len(blocked) == 2, said


def test_page_is_shown_in_no_frame_of_another_site(page_address: str, browser: Browser):
    html = f'<iframe src="{page_address}"></iframe>'.encode()

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, *args: object) -> None: ...

    said: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"http://localhost:{other.server_port}/", timeout=TIMEOUT_MS)
        page.wait_for_timeout(500)
        assert page.frames[-1].locator("#root").count() == 0
        page.close()
        other.shutdown()
    assert any("frame-ancestors" in text for text in said), said

"""A static site of the starter library, as its first and its second visitor meet it.

On a plain web server on loopback, without compression and without headers, so that the model runs
in one thread:

first     from the address to the first picture, and to the answer by meaning; bytes until each
second    the same with the server gone
query     from the question to the engine's answer, and the longest task of the page while typing

Needs the extras [dev] and [static], and npm.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import BrowserContext, Page

from retrieval.evaluation import load_messages
from retrieval.library import Bundle
from retrieval.paths import STARTER
from retrieval.search import Searcher, encoder_of
from retrieval.site import write_folder
from tests.support.browser import chromium

ASKED = "/?q=my+flight+was+cancelled+again"
RUNS = 3
# Before the page's own scripts: what it asks its worker and what that answers, with times in ms.
PROBE = """
window.asked = new Map(); window.took = []; window.byMeaning = null; window.tasks = [];
new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((e) => e.duration)))
  .observe({type: 'longtask', buffered: true});
const Plain = Worker;
window.Worker = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener('message', ({data}) => {
      if (!data.json?.gifs) return;
      window.took.push(performance.now() - window.asked.get(data.id));
      if (!data.json.provisional) window.byMeaning ??= performance.now();
    });
  }
  postMessage(message, ...rest) {
    if (message.path?.startsWith('search')) window.asked.set(message.id, performance.now());
    super.postMessage(message, ...rest);
  }
};
const isDrawn = (image) => image.complete && image.naturalWidth > 0;
const look = () => {
  const picker = document.querySelector('.reaction-picker')?.shadowRoot;
  const pictures = [...(picker?.querySelectorAll('.card img') ?? [])];
  if (pictures.some(isDrawn)) window.painted = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


class CountingServer(ThreadingHTTPServer):
    """Serves a folder, and counts the bytes of the files that it sent."""

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.sent: list[tuple[float, int]] = []  # (time, bytes)

    def sent_until(self, moment: float) -> float:
        """MB."""
        return sum(size for at, size in self.sent if at <= moment) / 1e6


class _Handler(SimpleHTTPRequestHandler):
    server: CountingServer

    def log_message(self, format: str, *args: object) -> None: ...

    def copyfile(self, source: Any, outputfile: Any) -> None:
        while block := source.read(65_536):
            outputfile.write(block)
            self.server.sent.append((time.time(), len(block)))


@contextmanager
def served(folder: Path) -> Iterator[CountingServer]:
    with CountingServer(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def measure_site() -> None:
    """Print what visitors wait for, medians of several visits."""
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name) / "site"
        bundle = Bundle.open(STARTER)
        print(write_folder(Searcher(bundle, encoder_of(bundle)), folder).agreement)
        visits = []
        for _ in range(RUNS):
            with served(folder) as server:
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                context.add_init_script(PROBE)
                first = _visit(context, server)
                page = context.pages[0]
                page.wait_for_function("() => navigator.serviceWorker.controller")
                page.wait_for_timeout(3_000)  # the service worker keeps the model
                queries, longest = _type(page)
                page.close()
                address = f"http://127.0.0.1:{server.server_port}"
            second = _times(context.new_page(), address)  # nobody serves any more
            visits.append([*first, *second, float(np.median(queries)), longest])
            context.close()
    painted, meant, mb, all_mb, again, meant_again, query, longest = np.median(visits, axis=0)
    print(
        f"first visit: a picture after {painted:.2f} s and {mb:.2f} MB, by meaning after "
        f"{meant:.2f} s and {all_mb:.1f} MB\n"
        f"second visit, no server: {again:.2f} s, by meaning {meant_again:.2f} s\n"
        f"a query, asked to answered: {query:.0f} ms; longest task while typing {longest:.0f} ms\n"
        f"medians of {RUNS} visitors"
    )


def _visit(context: BrowserContext, server: CountingServer) -> list[float]:
    page = context.new_page()
    start = time.time()
    painted, meant = _times(page, f"http://127.0.0.1:{server.server_port}")
    offset = float(page.evaluate("() => performance.timeOrigin")) / 1000
    assert abs(offset - start) < 5
    mb = [server.sent_until(offset + moment) for moment in (painted, meant)]
    return [painted, meant, *mb]


def _times(page: Page, address: str) -> tuple[float, float]:
    """Seconds until the first picture, and until an answer by meaning."""
    page.goto(address + ASKED, wait_until="commit")
    page.wait_for_function("() => window.byMeaning && window.painted", timeout=60_000)
    painted, meant = page.evaluate("() => [window.painted, window.byMeaning]")
    return painted / 1000, meant / 1000


def _type(page: Page) -> tuple[list[float], float]:
    """Type messages letter by letter; ms of each answer, and the longest task."""
    page.evaluate("() => { window.took.length = 0; window.tasks.length = 0; }")
    box = page.locator("#message")
    for message in load_messages("test")[:12]:
        box.fill("")
        box.press_sequentially(message.text[:40], delay=60)
        page.wait_for_timeout(400)
    took, tasks = page.evaluate("() => [window.took, window.tasks]")
    return took, max(tasks, default=0.0)

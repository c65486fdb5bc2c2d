"""The library page over 100,000 GIFs: opening it, scrolling it, and how long its map takes.

Records are synthetic, over the starter bundle's media. Needs the extra [dev].
"""

from __future__ import annotations

import json
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from playwright.sync_api import Page
from threadpoolctl import threadpool_limits

from benchmarks.index import FRAMES_PER_GIF, SyntheticLibrary
from retrieval.encoders import load_encoder
from retrieval.library import MEDIA
from retrieval.paths import STARTER
from retrieval.search import Searcher
from retrieval.web.library_map import FIRST, MAX_MAPPED, project, start_between
from tests.support.browser import chromium
from tests.support.server import Server, serving
from tests.support.synthetic_bundle import write_synthetic_bundle

N_MEDIA = 100
SCROLL_PX, SCROLLS = 600, 30
# Tasks of the browser's main thread that take over 50 ms, which is what it calls long.
WATCH = """() => { window.long = [];
    const note = list => window.long.push(...list.getEntries().map(task => task.duration));
    new PerformanceObserver(note).observe({type: "longtask"}) }"""


def measure_library(n_gifs: int) -> None:
    measure_map()
    with tempfile.TemporaryDirectory() as name:
        bundle = Path(name) / "synthetic"
        start = time.perf_counter()
        encoder = load_encoder("mini", runtime="exported")
        media = sorted((STARTER / MEDIA).glob("*.*"))[:N_MEDIA]
        write_synthetic_bundle(bundle, media, _vectors(n_gifs, encoder.dim), encoder)
        print(f"bundle of {n_gifs:,} GIFs written in {time.perf_counter() - start:.0f} s")
        environment = {"REACTION_INDEX": str(bundle), "XDG_CACHE_HOME": str(Path(name) / "cache")}
        with serving(environment=environment) as server:
            measure_page(server)


def measure_map() -> None:
    """Seconds to place the starter bundle's GIFs, and synthetic ones, in one thread."""
    searcher = Searcher.open(STARTER)
    starter = searcher.means(np.arange(len(searcher.collection.records)))
    vectors = np.concatenate([*_vectors(MAX_MAPPED, searcher.encoder.dim)])
    with threadpool_limits(1, user_api="openmp"):
        project(starter[:50])  # imports scikit-learn
        _time(f"map of {len(starter)} GIFs", lambda: project(starter))
        first = _time(f"map of {FIRST} GIFs", lambda: project(vectors[:FIRST]))
        _time(
            f"map of {MAX_MAPPED:,} GIFs from there",
            lambda: project(vectors, start_between(vectors, first)),
        )


def _time(what, work):  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    result = work()
    print(f"{what}: {time.perf_counter() - start:.1f} s")
    return result


def measure_page(server: Server) -> None:
    _wait_until_loaded(server)
    with chromium() as browser:
        for visit in ("first visitor", "second visitor"):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            start = time.perf_counter()
            page.goto(f"{server.address}/library")
            page.wait_for_selector(".numbers", timeout=120_000)
            opened = time.perf_counter() - start
            page.wait_for_selector(".tile", timeout=120_000)
            print(f"{visit}: numbers after {opened:.1f} s, ", end="")
            print(f"map after {time.perf_counter() - start:.1f} s", flush=True)
            print(f"  scrolling: longest task {_longest_task(page):.0f} ms")
            page.close()
    for path in ("library", "duplicates", "library.csv"):
        start = time.perf_counter()
        with urllib.request.urlopen(f"{server.address}/api/v1/{path}") as answer:
            n_bytes = len(answer.read())
        print(f"api/v1/{path}: {n_bytes / 1e3:,.0f} kB in {time.perf_counter() - start:.2f} s")


def _longest_task(page: Page) -> float:
    page.evaluate(WATCH)
    page.mouse.move(640, 450)
    for _ in range(SCROLLS):
        page.mouse.wheel(0, SCROLL_PX)
        page.wait_for_timeout(50)
    return float(max(page.evaluate("window.long"), default=0.0))


def _wait_until_loaded(server: Server) -> None:
    while True:
        with urllib.request.urlopen(f"{server.address}/api/v1/state") as answer:
            state = json.load(answer)
        if state["ready"]:
            return
        if state["error"]:
            raise RuntimeError(state["error"])
        time.sleep(0.5)


def _vectors(n_gifs: int, dim: int) -> Iterator[np.ndarray]:
    """Mean embeddings of synthetic GIFs, in blocks of unit rows (n, dim)."""
    for chunk in SyntheticLibrary(n_gifs, dim).chunks():
        means = chunk.reshape(-1, FRAMES_PER_GIF, dim).mean(axis=1)
        yield means / np.linalg.norm(means, axis=1, keepdims=True)

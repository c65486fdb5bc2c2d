"""Measure the page as people feel it, on a server of its own on loopback, in a real browser.

open     from the address to the first GIF on the screen, where it stands, how many are whole
query    from the last key to the pictures of the answer; "why" from the click to its frames
cost     bytes, time and decoded pixels of the first twelve results, also at 10 Mbit/s and 60 ms;
         meant for a bundle of real GIFs: --index
large    opening and scrolling a library of many records: --index
people   many at once over HTTP, each a query every two seconds, and the memory
shift    how much the layout moves while the page opens

Needs the extra [dev]; CHROMIUM names the browser.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import numpy as np
from playwright.sync_api import Browser, Page

from retrieval.cli.console import parser_for, run
from retrieval.evaluation import load_messages
from retrieval.paths import STARTER
from tests.support.browser import chromium
from tests.support.server import Server, serving

WHAT = ("all", "open", "query", "cost", "large", "people", "shift")
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
PAUSE_S = 2.0
TWELVE = 12

# Runs before the page's own scripts. `painted` is the time at which the first picture of a card
# is on the screen: loaded, and one frame later.
PROBE = """
window.shifts = []; window.longTasks = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((e) => e.value)))
  .observe({type: 'layout-shift', buffered: true});
const onLongTasks = (list) => window.longTasks.push(...list.getEntries().map((e) => e.duration));
new PerformanceObserver(onLongTasks)
  .observe({type: 'longtask', buffered: true});
window.picker = () => {
  const find = (root) => {
    for (const element of root.querySelectorAll('*')) {
      if (element.className === 'reaction-picker') return element.shadowRoot;
      const inner = element.shadowRoot && find(element.shadowRoot);
      if (inner) return inner;
    }
    return null;
  };
  return document.documentElement && find(document);
};
window.pictures = () => [...(window.picker()?.querySelectorAll('.card img') ?? [])];
window.isDrawn = (image) => image.complete && image.naturalWidth > 0;
window.whole = () => {
  const inside = (box) => box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
  const isWhole = (image) => isDrawn(image) && inside(image.getBoundingClientRect());
  return window.pictures().filter(isWhole);
};
const look = () => {
  if (window.pictures().some(isDrawn)) {
    requestAnimationFrame(() => { window.painted = performance.now(); });
  } else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""

# When the answer, which is in the page's HTML, had come.
ANSWERED = "() => performance.getEntriesByType('navigation')[0].responseEnd"
# From the last key to all pictures of the answer that are on the screen.
TYPED = """
(text) => new Promise((done) => {
  const root = window.picker();
  const box = root.querySelector('#message');
  const host = root.host;
  host.addEventListener('reaction-shown', () => {
    const wait = () => {
      const isNear = (image) => image.getBoundingClientRect().top < innerHeight;
      const near = window.pictures().filter(isNear);
      if (near.length && near.every(isDrawn)) {
        requestAnimationFrame(() => done(performance.now() - window.lastKey));
      } else requestAnimationFrame(wait);
    };
    wait();
  }, {once: true});
  box.focus(); box.select();
  box.value = text;
  window.lastKey = performance.now();
  box.dispatchEvent(new InputEvent('input', {bubbles: true, composed: true}));
})
"""

WHY = """
() => new Promise((done) => {
  const root = window.picker();
  const start = performance.now();
  root.querySelector('.card .icon.why').click();
  const wait = () => {
    const frames = [...root.querySelectorAll('dialog .frames img')];
    if (root.querySelector('dialog').open && frames.length && frames.every(isDrawn)) {
      requestAnimationFrame(() => done(performance.now() - start));
    } else requestAnimationFrame(wait);
  };
  wait();
})
"""


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("what", nargs="?", choices=WHAT, default="all")
    parser.add_argument("--index", type=Path, default=STARTER, metavar="BUNDLE")
    parser.add_argument("--queries", type=int, default=30, help="in the browser")
    parser.add_argument("--people", type=int, default=20, help="at once")
    parser.add_argument("--seconds", type=int, default=60, help="how long they go on")
    args = parser.parse_args()
    messages = [message.text for message in load_messages("test")]
    print(f"{os.cpu_count()} cores, {args.index}")
    with serving(environment={"REACTION_INDEX": str(args.index)}) as server:
        with chromium() as browser:
            warm_up(server, browser)
            if args.what in ("all", "open"):
                measure_opening(server, browser)
            if args.what in ("all", "shift"):
                measure_shift(server, browser)
            if args.what in ("all", "query"):
                every = max(1, len(messages) // args.queries)
                measure_queries(server, browser, messages[::every][: args.queries])
            if args.what in ("all", "cost"):
                measure_cost(server, browser)
            if args.what in ("all", "large"):
                measure_scrolling(server, browser)
        if args.what in ("all", "people"):
            asyncio.run(measure_people(server, messages, args.people, args.seconds))


@contextmanager
def visiting(browser: Browser, address: str, size: str = "desktop") -> Iterator[Page]:
    """A first visit: nothing in the browser's cache."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.add_init_script(PROBE)
    page.goto(address, wait_until="commit")
    yield page
    context.close()


def until_drawn(page: Page) -> None:
    """Wait until every picture on the screen is loaded."""
    page.wait_for_function(
        """() => { const near = window.pictures().filter(
            (image) => image.getBoundingClientRect().top < innerHeight);
        return near.length > 0 && near.every(isDrawn); }"""
    )


def warm_up(server: Server, browser: Browser) -> None:
    for size in SIZES:
        with visiting(browser, server.address, size) as page:
            page.wait_for_function("() => window.painted", timeout=120_000)
            until_drawn(page)


def measure_opening(server: Server, browser: Browser) -> None:
    for size in SIZES:
        painted, placed, first, whole = [], [], 0.0, 0
        for _ in range(7):
            with visiting(browser, server.address, size) as page:
                page.wait_for_function("() => window.painted")
                painted.append(float(page.evaluate("() => window.painted")) / 1000)
                until_drawn(page)
                page.wait_for_selector("[data-testid=stMain] .reaction-picker")
                placed.append(float(page.evaluate("() => performance.now()")) / 1000)
                page.wait_for_timeout(500)
                tops = "() => window.pictures().map((p) => p.getBoundingClientRect().top)"
                first = min(page.evaluate(tops))
                whole = page.evaluate("() => window.whole().length")
        print(
            f"open, {size}: first GIF painted {spread(painted)} ms, Streamlit ready "
            f"{spread(placed)} ms; first picture at y {first:.0f}, {whole} whole pictures above "
            f"the fold"
        )


def measure_shift(server: Server, browser: Browser) -> None:
    for size in SIZES:
        with visiting(browser, server.address, size) as page:
            page.wait_for_selector("[data-testid=stMain] .reaction-picker")
            until_drawn(page)
            page.wait_for_timeout(1500)
            print(f"layout shift while opening, {size}: {sum(page.evaluate('window.shifts')):.4f}")


def measure_queries(server: Server, browser: Browser, messages: list[str]) -> None:
    with visiting(browser, server.address) as page:
        page.wait_for_selector("[data-testid=stMain] .reaction-picker")
        until_drawn(page)
        page.wait_for_timeout(1500)
        # Once all have been seen, no rendition has to be made: the server is warm.
        for _ in range(2):
            answered = [float(page.evaluate(TYPED, message)) / 1000 for message in messages]
        page.reload()
        page.wait_for_selector("[data-testid=stMain] .reaction-picker")
        until_drawn(page)
        answered = [float(page.evaluate(TYPED, message)) / 1000 for message in messages]
        print(f"last key to pictures, {len(messages)} messages: {spread(answered)} ms")
        explained = []
        for _ in range(10):
            explained.append(float(page.evaluate(WHY)) / 1000)
            page.keyboard.press("Escape")
            page.wait_for_timeout(300)
        print(f"why, click to frames: {spread(explained)} ms")


def measure_cost(server: Server, browser: Browser) -> None:
    """What the first twelve results cost; the library's own answer, so all are of the library."""
    for name, slow in (("loopback", False), ("10 Mbit/s, 60 ms", True)):
        with visiting(browser, "about:blank") as page:
            network = page.context.new_cdp_session(page)
            network.send("Network.enable")
            if slow:
                bytes_s = 10e6 / 8
                network.send(
                    "Network.emulateNetworkConditions",
                    {"offline": False, "latency": 60, "downloadThroughput": bytes_s,
                     "uploadThroughput": bytes_s},
                )  # fmt: skip
            page.goto(f"{server.address}/?surprise=7", wait_until="commit")
            page.wait_for_function(
                f"() => window.pictures().slice(0, {TWELVE}).filter(isDrawn).length === {TWELVE}",
                polling=20,
            )
            took_s = float(page.evaluate("() => performance.now()")) / 1000
            answered_s = float(page.evaluate(ANSWERED)) / 1000
            page.wait_for_timeout(1000)
            facts = page.evaluate(
                f"""() => {{
                const images = window.pictures();
                const sizes = new Map(performance.getEntriesByType('resource')
                    .map((entry) => [entry.name, entry.encodedBodySize]));
                const first = images.slice(0, {TWELVE});
                const id = (image) => new URL(image.src).pathname.split('/')[2];
                return {{
                    ids: first.map(id),
                    bytes: first.reduce((sum, image) => sum + (sizes.get(image.src) ?? 0), 0),
                    decoded: first.reduce((sum, i) => sum + i.naturalWidth * i.naturalHeight, 0),
                    shown: first.reduce((sum, i) => sum + i.clientWidth * i.clientHeight, 0),
                    loaded: images.filter((image) => image.complete).length, cards: images.length,
                    requested: [...sizes.keys()].filter((n) => n.includes('/200.webp')).length,
                }};
            }}"""
            )
        gifs = [httpx.get(f"{server.address}/api/v1/gifs/{i}").json() for i in facts["ids"]]
        originals = sum(gif["bytes"] or 0 for gif in gifs)
        print(
            f"twelve results, {name}: {facts['bytes'] / 1e6:.2f} MB (originals: "
            f"{originals / 1e6:.2f} MB), all painted {took_s:.2f} s after the address was entered, "
            f"{took_s - answered_s:.2f} s after the answer, decoded pixels "
            f"{facts['decoded'] / facts['shown']:.1f} times those shown; "
            f"{facts['requested']} pictures requested"
        )


def measure_scrolling(server: Server, browser: Browser) -> None:
    """Scroll down screen by screen, through the whole answer or for two hundred screens."""
    with visiting(browser, server.address) as page:
        page.wait_for_function("() => window.painted")
        opened_s = float(page.evaluate("() => window.painted")) / 1000
        page.wait_for_selector("[data-testid=stMain] .reaction-picker")
        until_drawn(page)
        page.wait_for_timeout(2000)
        page.evaluate("() => { window.longTasks.length = 0; }")
        page.mouse.move(640, 500)
        for _ in range(200):
            page.mouse.wheel(0, 700)
            page.wait_for_timeout(60)
        page.wait_for_timeout(500)
        longest = max(page.evaluate("window.longTasks"), default=0)
        cards = page.evaluate("() => window.picker().querySelectorAll('.card').length")
        total = page.evaluate("() => window.picker().querySelector('.grid').clientHeight")
    print(
        f"scrolling: opened in {opened_s:.2f} s; 200 screens down {total:,} pixels of results, "
        f"longest task {longest:.0f} ms, {cards} cards exist"
    )


async def measure_people(server: Server, messages: list[str], people: int, seconds: int) -> None:
    before = server.resident_mb()
    took: list[float] = []
    until = time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=server.address, timeout=30) as client:
        await asyncio.gather(
            *(_person(client, messages[i::people], i * PAUSE_S / people, until, took)
              for i in range(people))
        )  # fmt: skip
    print(
        f"{people} people, a query every {PAUSE_S:.0f} s each for {seconds} s: {len(took)} answers "
        f"and twelve pictures each, no error; the answer {spread(took)} ms, "
        f"memory {before:.0f} to {server.resident_mb():.0f} MB"
    )


async def _person(
    client: httpx.AsyncClient, messages: list[str], delay_s: float, until: float, took: list[float]
) -> None:
    await asyncio.sleep(delay_s)
    for message in messages * 100:
        if time.monotonic() > until:
            return
        start = time.perf_counter()
        response = await client.get("/api/v1/search", params={"q": message, "limit": 30})
        seconds = time.perf_counter() - start
        took.append(seconds)
        response.raise_for_status()
        pictures = [gif["preview"] for gif in response.json()["gifs"][:TWELVE]]
        for answer in await asyncio.gather(*(client.get(f"/{picture}") for picture in pictures)):
            answer.raise_for_status()
        await asyncio.sleep(max(0.0, PAUSE_S - (time.perf_counter() - start)))


def spread(seconds: list[float]) -> str:
    low, middle, high = 1000 * np.percentile(seconds, [5, 50, 95])
    return f"median {middle:.0f} (5th to 95th percentile {low:.0f} to {high:.0f})"


if __name__ == "__main__":
    run(main)

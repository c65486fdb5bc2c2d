"""Measure the page as people feel it, on a server of its own on loopback.

page    one person in a real browser: opening the page, and Enter to results on screen
people  many at once over websockets, each a query every two seconds, and the memory

Needs the extra [dev]; CHROMIUM names the browser.
"""

from __future__ import annotations

import asyncio
import os
import time

import numpy as np
from playwright.sync_api import Page
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from retrieval.cli.console import parser_for, run
from retrieval.evaluation import load_messages
from tests.support.browser import ANSWER, chromium
from tests.support.server import Server, serving

PROTOCOL = Subprotocol("streamlit")
PAUSE_S = 2.0


class NoResults(RuntimeError):
    """The page ran without showing a single picture."""


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("what", nargs="?", choices=("all", "page", "people"), default="all")
    parser.add_argument("--queries", type=int, default=30, help="in the browser")
    parser.add_argument("--people", type=int, default=20, help="at once")
    parser.add_argument("--seconds", type=int, default=60, help="how long they go on")
    args = parser.parse_args()
    messages = [m.text for m in load_messages("test")]
    print(f"{os.cpu_count()} cores")
    with serving() as server:
        if args.what in ("all", "page"):
            measure_page(server, messages[:: len(messages) // args.queries][: args.queries])
        if args.what in ("all", "people"):
            asyncio.run(measure_people(server, messages, args.people, args.seconds))


def measure_page(server: Server, messages: list[str]) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{server.address}/?q=warm+up")
        page.wait_for_selector(ANSWER, timeout=120_000)
        answered = [_seconds_to_answer(page, message) for message in messages]
        page.close()  # its dancing GIFs would take a core from the next
        opened = [_seconds_to_open(browser.new_page(), server) for _ in range(7)]
    print(f"opening the page, nothing in the browser's cache: {_spread(opened)} ms")
    print(f"Enter to results on the screen, {len(messages)} messages: {_spread(answered)} ms")


def _seconds_to_open(page: Page, server: Server) -> float:
    start = time.perf_counter()
    page.goto(server.address)
    page.get_by_role("textbox").first.wait_for()
    page.wait_for_selector("[data-test-script-state=notRunning]")
    seconds = time.perf_counter() - start
    page.close()
    return seconds


def _seconds_to_answer(page: Page, message: str) -> float:
    """From the key to the frame in which the new pictures are there, by the page's clock."""
    box = page.get_by_role("textbox").first
    box.fill(message)
    page.evaluate(
        """() => { window.answered = new Promise(done => {
            const titles = () => [...document.querySelectorAll('[data-testid=stMain] img')]
                .map(p => p.alt).join('|');
            const before = titles();
            const look = () => titles() !== before && document.querySelector(
                '[data-test-script-state=notRunning]') ? done(performance.now() - window.asked)
                : requestAnimationFrame(look);
            document.addEventListener('keydown', () => {
                window.asked = performance.now(); requestAnimationFrame(look); }, {once: true});
        }) }"""
    )
    box.press("Enter")
    return float(page.evaluate("() => window.answered")) / 1000


async def measure_people(server: Server, messages: list[str], people: int, seconds: int) -> None:
    await _until_loaded(server)
    before = server.resident_mb()
    took: list[float] = []
    until = time.monotonic() + seconds
    await asyncio.gather(
        *(_person(server, messages[i::people], i * PAUSE_S / people, until, took)
          for i in range(people))
    )  # fmt: skip
    print(
        f"{people} people, a query every {PAUSE_S:.0f} s each for {seconds} s: "
        f"{len(took)} answers, no error, {_spread(took)} ms, "
        f"memory {before:.0f} to {server.resident_mb():.0f} MB"
    )


async def _until_loaded(server: Server) -> None:
    async with _session(server) as socket:
        box = await _rerun(socket, "", "")
        while True:
            try:
                await _rerun(socket, box, "warm up")
                return
            except NoResults:
                await asyncio.sleep(0.5)


def _session(server: Server) -> connect:
    address = server.address.replace("http", "ws") + "/_stcore/stream"
    return connect(address, subprotocols=[PROTOCOL], max_size=None)


async def _person(
    server: Server, messages: list[str], delay_s: float, until: float, took: list[float]
) -> None:
    await asyncio.sleep(delay_s)
    async with _session(server) as socket:
        box = await _rerun(socket, "", "")
        for message in messages * 100:
            if time.monotonic() > until:
                return
            start = time.perf_counter()
            await _rerun(socket, box, message)
            seconds = time.perf_counter() - start
            took.append(seconds)
            await asyncio.sleep(max(0.0, PAUSE_S - seconds))


async def _rerun(socket: ClientConnection, box: str, message: str) -> str:
    """Ask for a run of the page with the message typed, wait for its end; the box's id."""
    ask = BackMsg()
    ask.rerun_script.query_string = ""
    if box:
        state = ask.rerun_script.widget_states.widgets.add()
        state.id, state.string_value = box, message
    await socket.send(ask.SerializeToString())
    results = 0
    while True:
        answer = ForwardMsg()
        answer.ParseFromString(await socket.recv(decode=False))
        element = answer.delta.new_element
        if element.HasField("exception") or element.alert.format == element.alert.ERROR:
            raise RuntimeError(f"the page failed on {message!r}: {element}")
        if element.HasField("text_input") and not box:
            box = element.text_input.id
        results += element.HasField("imgs")  # none while the checkpoint loads
        if answer.HasField("script_finished"):
            if message and not results:
                raise NoResults(f"no results for {message!r}")
            return box


def _spread(seconds: list[float]) -> str:
    low, middle, high = 1000 * np.percentile(seconds, [5, 50, 95])
    return f"median {middle:.0f} (5th to 95th percentile {low:.0f} to {high:.0f})"


if __name__ == "__main__":
    run(main)

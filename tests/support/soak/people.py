"""Visitors of the page and clients of the API, all at once, for ten minutes each.

The crowd is one process, this one, which takes its share of the cores; the row says how much. Each
visitor has an address of its own on loopback, as the server's bounds count addresses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.evaluation import load_messages
from retrieval.paths import STARTER
from tests.support.server import Server
from tests.support.soak.bombs import running, wait_until_ready
from tests.support.soak.commands import Home
from tests.support.soak.processes import (
    Memory,
    connections,
    open_files,
    processor_s,
    watching,
)
from tests.support.soak.rows import Amount, Row, first_of, p95
from tests.support.soak.seeds import seeds
from tests.support.soak.visits import Noted, use_api, visit_page

MINUTES, EVERY_S = 10, 5.0
GROWTH = 0.10
# After the crowd has left: Streamlit keeps sessions for two minutes, for those who come back.
CALM_S = 150.0
SETTLED_S = 60.0

Visit = Callable[[int, str, float, Noted], Awaitable[None]]


@dataclass(frozen=True)
class Crowd:
    name: str
    number: int
    visit: Visit
    max_p95_s: float
    server: str


CROWDS = (
    Crowd("visitors of the page", 50, visit_page, 1.0, "page"),
    Crowd("clients of the API", 200, use_api, 0.15, "API"),
)


def soak_people(amount: Amount, folder: Path) -> list[Row]:
    seconds = amount.seconds(MINUTES)
    environment = {**Home(folder).environment(), "REACTION_INDEX": str(STARTER)}
    rows = list[Row]()
    for crowd in CROWDS:
        with (
            (folder / f"{crowd.server}.log").open("wb") as log,
            running(crowd.server, environment, log) as server,
        ):
            rows += _come(crowd, server, seconds)
    return rows


def _come(crowd: Crowd, server: Server, seconds: float) -> list[Row]:
    wait_until_ready(server)
    root, noted = server.process.pid, Noted()
    before = (open_files(root), connections(server.port))
    used_s, own_s, start = processor_s(root), time.process_time(), time.monotonic()
    with watching(root, 1.0) as memory:
        asyncio.run(_all(crowd, server.address, seconds, noted))
        took_s = time.monotonic() - start
    cores = (processor_s(root) - used_s) / took_s, (time.process_time() - own_s) / took_s
    left, calm_s = (open_files(root), connections(server.port)), 0.0
    after = left
    while calm_s < CALM_S and not _is_like(after, before):
        time.sleep(5)
        calm_s += 5
        after = (open_files(root), connections(server.port))
    alone = after
    if not _is_like(after, before):
        asyncio.run(_all(replace(crowd, number=1), server.address, EVERY_S, Noted()))
        time.sleep(EVERY_S)
        alone = (open_files(root), connections(server.port))
    what = f"{crowd.number} {crowd.name}, each acting every {EVERY_S:.0f} s for {took_s:.0f} s"
    times = ", ".join(f"{kind} {p95(took) * 1000:.0f} ms" for kind, took in noted.took.items())
    searches = noted.took.get("search", [])
    return [
        Row(f"{what}: errors", "none", f"{first_of(noted.problems)} of {noted.n:,}",
            not noted.problems and noted.n > 0),
        Row(
            f"{what}: p95 of {len(searches):,} searches",
            f"< {crowd.max_p95_s * 1000:.0f} ms",
            f"{times}; server {cores[0]:.2f} cores, the crowd itself {cores[1]:.2f}",
            p95(searches) < crowd.max_p95_s,
        ),
        _memory(crowd, memory, start, took_s),
        Row(
            f"{crowd.name}: open files and connections afterwards",
            f"{before[0]} and {before[1]}, as before",
            f"{left[0]} and {left[1]} at once, {after[0]} and {after[1]} after {calm_s:.0f} s, "
            f"{alone[0]} and {alone[1]} after another visitor",
            _is_like(after, before),
        ),
    ]  # fmt: skip


def _is_like(now: tuple[int, int], before: tuple[int, int]) -> bool:
    return now[0] <= before[0] + 2 and now[1] <= before[1]


def _memory(crowd: Crowd, memory: Memory, start: float, took_s: float) -> Row:
    """Memory of the last tenth of the time against that around the end of the first minute."""
    settled_s = min(SETTLED_S, took_s / 3)
    first = _mean(memory, start + settled_s, start + settled_s + took_s / 10)
    last = _mean(memory, start + 0.9 * took_s, start + took_s)
    reached = f"{first:.0f} MB after {settled_s:.0f} s, {last:.0f} MB at the end"
    return Row(
        f"{crowd.name}: memory at the end", f"within {GROWTH:.0%} of that after the first minute",
        reached, last <= first * (1 + GROWTH),
    )  # fmt: skip


def _mean(memory: Memory, start: float, end: float) -> float:
    values = [mb for at, mb in memory.samples if start <= at <= end]
    return sum(values) / len(values) if values else float("nan")


async def _all(crowd: Crowd, address: str, seconds: float, noted: Noted) -> None:
    noted.messages = [message.text for message in load_messages("test")]
    noted.uploads = [data for suffix, data in seeds(77) if suffix in (".gif", ".jpg", ".webp")]
    until = time.monotonic() + seconds
    visits = (crowd.visit(number, address, until, noted) for number in range(crowd.number))
    await asyncio.gather(*visits)

"""The worst files through build and upload, and what others notice of those who send them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import httpx2 as httpx

from retrieval.library import Bundle
from retrieval.paths import STARTER
from tests.support.server import Server, serving, serving_api
from tests.support.soak.attacks import after_leaving, end_under_load, others_under_load
from tests.support.soak.commands import Home, build
from tests.support.soak.processes import memory_mb, watching
from tests.support.soak.rows import Amount, Row
from tests.support.soak.seeds import write_good_files
from tests.support.soak.worst import MAKERS, suffix_of, worst_files

MAX_S, MAX_MB = 12, 500
IDLE_S = 0.5  # of rest before idle memory is measured


def soak_bombs(amount: Amount, folder: Path) -> list[Row]:
    step = max(1, round(1 / amount.scale / 4))  # a scale of ¼ and more tries all
    bombs = dict(list(worst_files().items())[::step])
    home = Home(folder / "home")
    rows = [_summary("build", bombs, list(_built(bombs, folder, home)))]
    environment = {**home.environment(), "REACTION_INDEX": str(STARTER)}
    for name in ("API", "page"):
        with (folder / f"{name}.log").open("wb") as log, running(name, environment, log) as server:
            wait_until_ready(server)
            rows.append(_summary(f"upload to the {name}", bombs, list(_uploaded(bombs, server))))
            rows += others_under_load(name, server, amount.seconds(2, 15))
            rows += after_leaving(name, server)
            rows.append(end_under_load(name, server))
    return rows


def running(
    name: str, environment: Mapping[str, str], log: IO[bytes]
) -> AbstractContextManager[Server]:
    """A server of the API alone, or of the page."""
    if name == "API":
        return serving_api(environment, wait_for="/api/v1/ready", log=log)
    return serving(environment=environment, log=log)


def wait_until_ready(server: Server) -> None:
    for _ in range(1200):
        if httpx.get(f"{server.address}/api/v1/ready").status_code == 200:
            httpx.get(f"{server.address}/api/v1/search", params={"q": "thank you"})
            time.sleep(IDLE_S)
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not become ready")


Cost = tuple[str, float, float, str]  # name, seconds, MB, what was wrong


def _built(bombs: dict[str, bytes], folder: Path, home: Home) -> Iterator[Cost]:
    """Each bomb in a folder with a good file; seconds and MB beyond a build of that alone."""
    (good,) = write_good_files(folder / "good", 1)
    alone = build(folder / "good", folder / "alone", home).wait()
    for number, (name, data) in enumerate(bombs.items()):
        source = folder / f"bomb-{number}"
        source.mkdir()
        bomb = f"bomb{suffix_of(name)}"
        (source / bomb).write_bytes(data)
        (source / good.name).write_bytes(good.read_bytes())
        done = build(source, folder / f"index-{number}", home).wait(120)
        wrong = "" if done.status == 0 else f"exit {done.status}: {done.message}"
        if not wrong:
            listed = {
                place for r in Bundle.open(folder / f"index-{number}").records for place in r.places
            } | {s["path"] for s in done.report["skipped"]}
            wrong = "" if {Path(place).name for place in listed} == {bomb, good.name} else "lost"
        yield name, max(0.0, done.took_s - alone.took_s), done.peak_mb - alone.peak_mb, wrong


def _uploaded(bombs: dict[str, bytes], server: Server) -> Iterator[Cost]:
    root = server.process.pid
    for name, data in bombs.items():
        time.sleep(IDLE_S)
        idle_mb = memory_mb(root)
        start = time.monotonic()
        with watching(root) as memory:
            answer = httpx.post(
                f"{server.address}/api/v1/mine", params={"name": "bomb"}, content=data, timeout=120
            )
        took_s = time.monotonic() - start
        wrong = "" if answer.status_code in (200, 413, 422) else f"HTTP {answer.status_code}"
        if answer.status_code == 200:
            httpx.delete(f"{server.address}/api/v1/mine/{answer.json()['mine']}")
        yield name, took_s, memory.peak_mb - idle_mb, wrong


def _summary(where: str, bombs: dict[str, bytes], costs: list[Cost]) -> Row:
    slowest, largest = max(costs, key=lambda c: c[1]), max(costs, key=lambda c: c[2])
    over = [c for c in costs if c[3] or c[1] >= MAX_S or c[2] >= MAX_MB]
    reached = (
        f"{len(costs) - len(over)} of {len(costs)}; slowest {slowest[1]:.1f} s ({slowest[0]}), "
        f"largest {largest[2]:.0f} MB ({largest[0]})"
    )
    for name, took_s, mb, wrong in over:
        reached += f"; {name}: {took_s:.1f} s, {mb:.0f} MB {wrong}"
    what = f"{len(bombs)} of {len(MAKERS)} bombs: {where}"
    return Row(what, f"< {MAX_S} s, < {MAX_MB} MB each", reached, not over)

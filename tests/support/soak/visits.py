"""What one visitor of the page and one client of the API do."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.asyncio.client import connect

EVERY_S = 5.0
TWELVE = 12
UPLOADS = 0.05  # of a visitor's actions
TIMEOUT_S = 30
SCRIPTS = re.compile(r'(?:src|href)="\.?/?([^"]+\.(?:js|css))"|"(frontend/[^"]+\.js)"')


@dataclass
class Noted:
    """Seconds that each kind of request took, and what went wrong, of all visitors."""

    took: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)

    @property
    def n(self) -> int:
        return sum(map(len, self.took.values()))


async def visit_page(number: int, address: str, until: float, noted: Noted) -> None:
    """Open the page with its scripts and its WebSocket; then search, see GIFs, sometimes upload."""
    chance = random.Random(number)
    await asyncio.sleep(EVERY_S * chance.random())
    async with _client(number, address) as client:
        page = await _ask(client, noted, "page", "GET", "/")
        if page is not None:
            names = {found for pair in SCRIPTS.findall(page.text) for found in pair if found}
            await asyncio.gather(
                *(_ask(client, noted, "script", "GET", f"/{n.lstrip('/')}") for n in names)
            )
        async with _session(number, address, noted):
            async for _ in _turns(until):
                gifs = await _search(client, noted, chance)
                thumbs = [gif["preview"] for gif in gifs[:TWELVE] if gif["preview"]]
                await asyncio.gather(
                    *(_ask(client, noted, "thumb", "GET", f"/{thumb}") for thumb in thumbs)
                )
                if chance.random() < UPLOADS:
                    await _upload(client, noted, chance)


async def use_api(number: int, address: str, until: float, noted: Noted) -> None:
    """Search on a connection that is kept; sometimes upload, search in it, and delete it."""
    chance = random.Random(number)
    await asyncio.sleep(EVERY_S * chance.random())
    async with _client(number, address) as client:
        async for _ in _turns(until):
            if chance.random() < UPLOADS:
                await _upload(client, noted, chance)
            else:
                await _search(client, noted, chance)


async def _search(client: httpx.AsyncClient, noted: Noted, chance: random.Random) -> list[Any]:
    # A number makes every message a new one: the server keeps what recent ones mean.
    message = f"{chance.choice(noted.messages)} {chance.randrange(1_000_000)}"
    asked = {"q": message, "limit": TWELVE}
    answer = await _ask(client, noted, "search", "GET", "/api/v1/search", params=asked)
    return answer.json()["gifs"] if answer is not None else []


async def _upload(client: httpx.AsyncClient, noted: Noted, chance: random.Random) -> None:
    data = chance.choice(noted.uploads)
    sent = {"params": {"name": "mine.gif"}, "content": data}
    answer = await _ask(client, noted, "upload", "POST", "/api/v1/mine", **sent)
    if answer is not None:
        mine = answer.json()["mine"]
        asked = {"q": chance.choice(noted.messages), "mine": mine}
        await _ask(client, noted, "own search", "GET", "/api/v1/search", params=asked)
        await _ask(client, noted, "delete", "DELETE", f"/api/v1/mine/{mine}")


async def _ask(
    client: httpx.AsyncClient, noted: Noted, kind: str, method: str, path: str, **sent: Any
) -> httpx.Response | None:
    """Send a request and note how long it took; None if it failed."""
    start = time.perf_counter()
    try:
        answer = await client.request(method, path, **sent)
    except httpx.HTTPError as error:
        noted.problems.append(f"{method} {path}: {type(error).__name__} {error}")
        return None
    noted.took.setdefault(kind, []).append(time.perf_counter() - start)
    if answer.is_success:
        return answer
    noted.problems.append(f"{method} {path}: HTTP {answer.status_code} {answer.text[:150]}")
    return None


async def _turns(until: float) -> AsyncIterator[None]:
    """Every five seconds, until the time is over; a late turn does not make the next one early."""
    while time.monotonic() < until:
        start = time.monotonic()
        yield
        await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - start)))


def _address_of(number: int) -> str:
    return f"127.0.1.{1 + number}"


def _client(number: int, address: str) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(local_address=_address_of(number))
    return httpx.AsyncClient(base_url=address, transport=transport, timeout=TIMEOUT_S)


@asynccontextmanager
async def _session(number: int, address: str, noted: Noted) -> AsyncIterator[None]:
    """A session of Streamlit: its WebSocket, one run of the page, and what it sends read."""
    run = BackMsg()
    run.rerun_script.query_string = ""
    start = time.perf_counter()
    socket = connect(
        f"{address.replace('http', 'ws', 1)}/_stcore/stream",
        subprotocols=["streamlit"],  # type: ignore[list-item]
        origin=address,  # type: ignore[arg-type]
        max_size=None,
        open_timeout=TIMEOUT_S,
        local_addr=(_address_of(number), 0),
    )
    try:
        async with socket as connection:
            await connection.send(run.SerializeToString())
            await asyncio.wait_for(connection.recv(), TIMEOUT_S)
            noted.took.setdefault("session", []).append(time.perf_counter() - start)
            reading = asyncio.create_task(_read(connection))
            yield
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
    except (OSError, asyncio.TimeoutError) as error:
        noted.problems.append(f"WebSocket: {type(error).__name__} {error}")


async def _read(connection: Any) -> None:
    async for _ in connection:
        pass

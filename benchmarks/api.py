"""Searches over HTTP by many clients at once: `reaction-search serve --api-only`, warm.

Twenty clients, each on a connection of its own that is kept open, ask different messages for a
minute, the clients in this process, which takes its share of the two cores. Two ways:

paced    each client asks once a second, at a moment of its own: what twenty people do
closed   each client asks again as soon as it has its answer: the most that the server can do; the
         median is then the number of clients divided by the rate, whatever the server does
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import numpy as np

from retrieval.evaluation import load_messages
from tests.support.server import serving_api

CLIENTS = 20
INTERVAL_S = 1.0  # between two questions of a paced client
WARM_UP = 40
LIMIT = 12


def measure_api(seconds: float, environment: Mapping[str, str] | None = None) -> None:
    """Print percentiles of both ways."""
    messages = [message.text for message in load_messages("test")]
    with serving_api(environment, wait_for="/api/v1/ready") as server:
        for message in messages[:WARM_UP]:
            asyncio.run(_ask_once(server.port, message))
        for name, interval_s in (("paced", INTERVAL_S), ("closed", 0.0)):
            load = os.getloadavg()[0]
            before = server.processor_s()
            start = time.perf_counter()
            times = asyncio.run(_ask_all(server.port, messages, seconds, interval_s))
            took = time.perf_counter() - start
            cores = (server.processor_s() - before) / took
            p50, p95, p99 = 1000 * np.percentile(times, [50, 95, 99])
            print(
                f"{name}: {CLIENTS} clients, {took:.0f} s, {len(times):,} answers, "
                f"{len(times) / took:.0f} a second: p50 {p50:.1f} ms, p95 {p95:.1f}, "
                f"p99 {p99:.1f}; server {cores:.2f} cores, {server.resident_mb(peak=True):.0f} MB "
                f"at most; load of the machine before {load:.1f}",
                flush=True,
            )


async def _ask_all(
    port: int, messages: Sequence[str], seconds: float, interval_s: float
) -> list[float]:
    until = time.perf_counter() + seconds
    per_client = await asyncio.gather(
        *(_client(port, messages, number, until, interval_s) for number in range(CLIENTS))
    )
    return [took for times in per_client for took in times]


async def _client(
    port: int, messages: Sequence[str], number: int, until: float, interval_s: float
) -> list[float]:
    chance = random.Random(number)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = list[float]()
    due = time.perf_counter() + chance.random() * interval_s
    while due < until:
        await asyncio.sleep(due - time.perf_counter())
        # A number makes every message a new one: the server keeps what recent ones mean.
        message = f"{chance.choice(messages)} {chance.randrange(1_000_000)}"
        start = time.perf_counter()
        await _ask(reader, writer, message)
        times.append(time.perf_counter() - start)
        due = max(due + interval_s, time.perf_counter())
    writer.close()
    return times


async def _ask_once(port: int, message: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await _ask(reader, writer, message)
    writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: str) -> None:
    query = urlencode({"q": message, "limit": LIMIT})
    writer.write(f"GET /api/v1/search?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    (length,) = (line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"{message!r} was answered with {head[:40]!r}")

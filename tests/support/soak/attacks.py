"""What others notice while four sessions upload the worst files, and what remains of these."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

import httpx2 as httpx

from tests.support.server import Server
from tests.support.soak.processes import processor_s
from tests.support.soak.rows import Row, first_of, p95
from tests.support.soak.worst import MAKERS, worst_files

SESSIONS = 4
SEARCH_S, GIF_S, LEAVE_S, END_S = 0.3, 0.1, 1.0, 5.0
ASK_EVERY_S = 0.25
REFUSED = "refused"  # the server hung up before the whole file was sent; others would notice an end
BUSY_CORES = 0.3  # more than this is work; an idle server takes less than a hundredth
MESSAGES = ("I got the job", "good night", "that is disgusting", "so tired", "congratulations")
# They are decoded as long as the limits let them.
SENT = tuple(name for name in MAKERS if "just legal" in name)


def others_under_load(kind: str, server: Server, seconds: float) -> list[Row]:
    """Searches and GIFs at their addresses by one visitor, without and with four uploaders."""
    ids = _gif_ids(server)
    with _asking(server, ids, seconds / 2) as (quiet_search, quiet_gif, quiet_problems):
        pass
    with uploading(server) as sent, _asking(server, ids, seconds) as (search, gif, problems):
        pass
    problems += quiet_problems + [s for s in sent if not s.startswith(("200", "4", "503", REFUSED))]
    what = f"{kind}: {SESSIONS} sessions upload the worst files; another's"
    return [
        Row(
            f"{what} search, p95 of {len(search)}",
            f"< {SEARCH_S * 1000:.0f} ms",
            f"{p95(search) * 1000:.0f} ms (without them {p95(quiet_search) * 1000:.0f} ms)",
            p95(search) < SEARCH_S,
        ),
        Row(
            f"{what} GIF at its address, p95 of {len(gif)}",
            f"< {GIF_S * 1000:.0f} ms",
            f"{p95(gif) * 1000:.0f} ms (without them {p95(quiet_gif) * 1000:.0f} ms)",
            p95(gif) < GIF_S,
        ),
        Row(f"{what} errors, and answers of 5xx but 503", "none", first_of(problems), not problems),
    ]


def after_leaving(kind: str, server: Server) -> list[Row]:
    """How long work goes on for a client that has left; the worst of all files that take time."""
    worst_s, worst, n_tried = 0.0, "", 0
    for name in SENT:
        connection = _start_upload(server, worst_files()[name])
        time.sleep(1.0)
        was_working = _cores(server, 0.3) > BUSY_CORES
        connection.close()
        left = time.monotonic()
        while _cores(server, 0.2) > BUSY_CORES and time.monotonic() - left < 30:
            pass
        if was_working:
            n_tried += 1
            took_s = time.monotonic() - left - 0.2  # the look that found it at rest
            worst_s, worst = max((worst_s, worst), (took_s, name))
    ok = worst_s < LEAVE_S if n_tried else None
    reached = f"{worst_s:.1f} s ({worst}); {n_tried} of {len(SENT)} files were still in work"
    return [Row(f"{kind}: work ends after its client left", f"< {LEAVE_S:.0f} s", reached, ok)]


def end_under_load(kind: str, server: Server) -> Row:
    """How long the server takes to end at a SIGTERM while the worst files are uploaded."""
    with uploading(server):
        time.sleep(2)
        start = time.monotonic()
        server.process.terminate()
        server.process.wait(60)
        took_s = time.monotonic() - start
    what = f"{kind}: SIGTERM ends the server while {SESSIONS} sessions upload"
    return Row(what, f"< {END_S:.0f} s", f"{took_s:.1f} s", took_s < END_S)


@contextmanager
def uploading(server: Server) -> Iterator[list[str]]:
    """Four sessions that upload one worst file after the other; yields what was answered.

    At the end they hang up, so that what comes next is not measured behind their last files.
    """
    stop, answers, open_now = threading.Event(), list[str](), dict[int, socket.socket]()
    files = [worst_files()[name] for name in SENT]

    def session(number: int) -> None:
        for turn in count(number):
            if stop.is_set():
                return
            try:
                with _start_upload(server, files[turn % len(files)], 10 + number) as connection:
                    open_now[number] = connection
                    status = connection.recv(12)[9:].decode()
            except (BrokenPipeError, ConnectionResetError):
                status = REFUSED
            except OSError as error:
                status = f"{type(error).__name__} {error}"
            if not stop.is_set() and server.process.poll() is None:
                answers.append(status or "no answer")
            if status != "200":
                stop.wait(0.5)

    threads = [threading.Thread(target=session, args=(n,), daemon=True) for n in range(SESSIONS)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    try:
        yield answers
    finally:
        stop.set()
        for connection in list(open_now.values()):
            with suppress(OSError):  # it has its answer
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(60)


@contextmanager
def _asking(
    server: Server, ids: list[str], seconds: float
) -> Iterator[tuple[list[float], list[float], list[str]]]:
    """One visitor who searches and looks at GIFs for some time: seconds of each, and problems."""
    search, gif, problems = list[float](), list[float](), list[str]()

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=server.address, timeout=60) as client:
            end = time.monotonic() + seconds
            for turn in count():
                if time.monotonic() > end:
                    return
                message = f"{MESSAGES[turn % len(MESSAGES)]} {turn}"
                await _time(client, "/api/v1/search", search, problems, q=message)
                await _time(client, f"/gif/{ids[turn % len(ids)]}.gif", gif, problems)
                await asyncio.sleep(ASK_EVERY_S)

    asyncio.run(ask())
    yield search, gif, problems


async def _time(
    client: httpx.AsyncClient, path: str, took: list[float], problems: list[str], **asked: str
) -> None:
    start = time.perf_counter()
    try:
        answer = await client.get(path, params=asked)
    except httpx.HTTPError as error:
        problems.append(f"{path}: {type(error).__name__} {error}")
        return
    took.append(time.perf_counter() - start)
    if answer.status_code != 200:
        problems.append(f"{path}: HTTP {answer.status_code}")


def _gif_ids(server: Server) -> list[str]:
    answer = httpx.get(f"{server.address}/api/v1/search", params={"q": "hello", "limit": 12})
    return [gif["id"] for gif in answer.json()["gifs"]]


def _start_upload(server: Server, data: bytes, last_part: int = 1) -> socket.socket:
    """Send an upload from 127.0.0.`last_part`; the answer is not awaited."""
    source = (f"127.0.0.{last_part}", 0)
    connection = socket.create_connection(("127.0.0.1", server.port), 120, source)
    lines = ("POST /api/v1/mine?name=x HTTP/1.1", "Host: localhost", "Connection: close")
    head = "\r\n".join((*lines, f"Content-Length: {len(data)}", "", ""))
    connection.sendall(head.encode() + data)
    return connection


def _cores(server: Server, seconds: float) -> float:
    """Cores that the server's processes take, measured for some time."""
    before, start = processor_s(server.process.pid), time.monotonic()
    time.sleep(seconds)
    return (processor_s(server.process.pid) - before) / (time.monotonic() - start)

"""What one client may take of a server: memory, connections, time, places in a line."""

import asyncio
import gc
import signal
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Scope
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

from retrieval.api import bodies
from retrieval.api.bodies import Bodies, while_connected
from retrieval.api.crowd import BoundCrowd
from retrieval.api.held import Held
from retrieval.api.problems import ProblemError
from retrieval.errors import BusyError, MediaError
from retrieval.web import slow_clients, tune_server
from retrieval.web.sessions import let_expired_go
from retrieval.web.slow_clients import ImpatientProtocol

MB = 1_000_000


def request_of(
    client: str,
    n_chunks: int = 1,
    chunk: bytes = bytes(MB),
    pause: Callable[[], None] = lambda: None,
) -> Request:
    """A request whose body comes in chunks; `pause` is called before each."""
    left = n_chunks

    async def receive() -> Message:
        nonlocal left
        left -= 1
        pause()
        return {"type": "http.request", "body": chunk, "more_body": left > 0}

    scope = {"type": "http", "method": "POST", "headers": [], "client": (client, 1)}
    return Request(scope, receive)


async def size_of(held: Bodies, request: Request, most: int = 100 * MB) -> int:
    async with held.read(request, most, "too large") as body:
        return len(body)


def test_body_is_in_memory_once():
    tracemalloc.start()
    try:
        assert asyncio.run(size_of(Bodies(), request_of("192.0.2.1", 60))) == 60 * MB
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 75 * MB  # a buffer grows by an eighth


def test_body_that_cannot_be_read_is_freed_without_a_collection_of_garbage():
    def decode(data: bytes) -> None:
        raise MediaError(f"{len(data)} bytes are no picture")

    async def main() -> None:
        request = request_of("192.0.2.1", 60)
        with pytest.raises(MediaError, match="60000000 bytes"):
            async with Bodies().read(request, 100 * MB, "") as body:
                await while_connected(request, lambda stop: decode(body))

    tracemalloc.start()
    gc.disable()  # an idle server may not collect for long
    try:
        asyncio.run(main())
        assert tracemalloc.get_traced_memory()[0] < 5 * MB
    finally:
        gc.enable()
        tracemalloc.stop()


def test_bodies_of_one_client_leave_room_for_others():
    async def main() -> None:
        held = Bodies(max_buffered=30 * MB, max_of_client=20 * MB)
        async with held.read(request_of("192.0.2.1", 15), 100 * MB, "") as first:
            assert len(first) == 15 * MB
            with pytest.raises(BusyError):
                await size_of(held, request_of("192.0.2.1", 15))
            assert await size_of(held, request_of("192.0.2.2", 15)) == 15 * MB
            with pytest.raises(BusyError):
                await size_of(held, request_of("192.0.2.2", 16))
        assert await size_of(held, request_of("192.0.2.1", 20)) == 20 * MB

    asyncio.run(main())


def test_client_has_a_few_requests_with_bodies_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bodies, "MAX_AT_ONCE", 2)

    async def main() -> None:
        held = Bodies()
        async with (
            held.read(request_of("2001:db8::1"), MB, ""),
            held.read(request_of("2001:db8::2"), MB, ""),
        ):
            with pytest.raises(BusyError):  # one customer of IPv6 has a whole /64
                await size_of(held, request_of("2001:db8::3"))
            assert await size_of(held, request_of("2001:db8:0:1::1")) == MB
        assert await size_of(held, request_of("2001:db8::3")) == MB

    asyncio.run(main())


def test_body_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bodies, "SILENT_S", 0.2)
    held, start = Bodies(), time.monotonic()
    slow = request_of("192.0.2.1", 1_000, b"x", lambda: time.sleep(0.01))
    with pytest.raises(ProblemError, match=r"bytes were received .* expected 10,000") as caught:
        asyncio.run(size_of(held, slow))
    assert caught.value.status == HTTPStatus.REQUEST_TIMEOUT
    assert time.monotonic() - start < 2
    assert asyncio.run(size_of(held, request_of("192.0.2.1"))) == MB


def test_what_nobody_uses_is_forgotten_without_a_visitor():
    class Large:
        n = 0

        def __init__(self) -> None:
            type(self).n += 1

        def __del__(self) -> None:
            type(self).n -= 1

    held: Held[Large] = Held(idle_s=0.3)
    for _ in range(5):
        held.put(Large(), 1)
    assert (len(held), Large.n) == (5, 5)
    deadline = time.monotonic() + 5
    while len(held) and time.monotonic() < deadline:
        time.sleep(0.02)
    gc.collect()
    assert (len(held), Large.n) == (0, 0)


def test_operations_beyond_the_crowd_are_refused_at_once():
    async def main() -> list[int]:
        release = asyncio.Event()

        async def app(scope: Scope, receive: object, send: Callable) -> None:
            await release.wait()
            await PlainTextResponse("found")(scope, receive, send)  # type: ignore[arg-type]

        crowd = BoundCrowd(app, max_at_once=3, max_of_client=2)

        async def status(client: str, path: str = "/api/v1/search") -> int:
            sent: list[Message] = []

            async def send(message: Message) -> None:
                sent.append(message)

            scope = {"type": "http", "path": path, "client": (client, 1), "headers": []}
            await crowd(scope, None, send)  # type: ignore[arg-type]
            return sent[0]["status"]

        asked = ("a", "a", "a", "b", "b", "c")
        waiting = [asyncio.create_task(status(client)) for client in asked]
        waiting.append(asyncio.create_task(status("c", "/api/v1/health")))
        await asyncio.sleep(0.05)
        assert [task.done() for task in waiting] == [False, False, True, False, True, True, False]
        release.set()
        answered = [await task for task in waiting]
        return [*answered, await status("a")]

    assert asyncio.run(main()) == [200, 200, 503, 200, 503, 503, 200, 200]


@contextmanager
def impatient_server() -> Iterator[int]:
    """A server whose clients have a moment for their headers; yields its port."""
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("found"))])
    config = uvicorn.Config(app, port=0, log_level="error", http=ImpatientProtocol)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def test_client_that_drips_headers_is_hung_up_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slow_clients, "HEAD_S", 0.4)
    whole = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def is_hung_up(connection: socket.socket, part: bytes) -> bool:
        """Send bytes now and then; whether the server hangs up within three seconds."""
        connection.settimeout(0.05)
        for _ in range(60):
            try:
                connection.sendall(part)
                if not connection.recv(1000):
                    return True
            except TimeoutError:
                continue
            except OSError:
                return True
        return False

    def ask(connection: socket.socket) -> None:
        connection.sendall(whole)
        answer = b""
        while not answer.endswith(b"found"):
            part = connection.recv(1000)
            assert part, "the server hung up"
            answer += part

    with impatient_server() as port:
        address = ("127.0.0.1", port)
        with socket.create_connection(address) as silent:
            assert is_hung_up(silent, b"")
        with socket.create_connection(address) as dripping:
            dripping.sendall(b"GET / HTTP/1.1\r\nX: ")
            assert is_hung_up(dripping, b"a")
        with socket.create_connection(address) as second:  # also after an answer
            ask(second)
            assert is_hung_up(second, b"a")
        with socket.create_connection(address) as patient:
            for _ in range(4):
                time.sleep(0.2)  # together longer than a head may take
                ask(patient)


def test_servers_are_impatient(monkeypatch: pytest.MonkeyPatch):
    """Streamlit makes its own uvicorn server, which is found by its signal handler."""
    server = uvicorn.Server(uvicorn.Config(lambda: None))
    monkeypatch.setattr(signal, "getsignal", lambda number: server.handle_exit)

    async def main() -> None:
        async with tune_server(None):
            assert server.config.http_protocol_class is ImpatientProtocol

    asyncio.run(main())


def test_sessions_of_visitors_who_have_left_are_ended_without_another_visitor():
    """By Streamlit's own manager and storage, which have no public way to it."""

    class Session:
        id, ended = "left", False

        def shutdown(self) -> None:
            self.ended = True

    left, there = Session(), Session()
    there.id = "there"
    for session, ttl_s in ((left, 0), (there, 60)):
        storage = MemorySessionStorage(ttl_seconds=ttl_s)
        storage.save(SessionInfo(client=None, session=session, script_run_count=1))
        let_expired_go(WebsocketSessionManager(storage, None, None, None))
    assert (left.ended, there.ended) == (True, False)

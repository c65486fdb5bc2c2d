"""What the uvicorn server of the page, or of the API alone, should do otherwise than by default."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from retrieval.web.sessions import end_sessions
from retrieval.web.slow_clients import ImpatientProtocol

STOP_S = 2  # seconds for open responses when the server is stopped
MAX_HEAD_BYTES = 1_000_000  # of a request; by default 64 kB, over which uvicorn only says "invalid"


@asynccontextmanager
async def tune_server(app: object) -> AsyncIterator[None]:
    """Limit how long uvicorn waits for heads, and for open responses when it stops; send at once.

    Streamlit has no options for these, but the signal handler is a method of the uvicorn
    server that runs this app. By default it waits forever. asyncio sends small packets at once
    only on sockets that were made with the number of the protocol, which Streamlit's is not:
    each answer on a connection that is kept open took 44 ms, and takes 2 ms this way. Streamlit's
    expired sessions are ended as long as the server runs (retrieval.web.sessions).
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    tasks = [asyncio.create_task(end_sessions())]
    if isinstance(server, uvicorn.Server):
        server.config.timeout_graceful_shutdown = STOP_S
        server.config.h11_max_incomplete_event_size = MAX_HEAD_BYTES
        server.config.http_protocol_class = ImpatientProtocol
        tasks.append(asyncio.create_task(_send_without_delay(server)))
    yield
    for task in tasks:
        task.cancel()


async def _send_without_delay(server: uvicorn.Server) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    for listening in (listener for each in server.servers for listener in each.sockets):
        if listening.family in (socket.AF_INET, socket.AF_INET6):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit

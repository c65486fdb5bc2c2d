"""The body of a request, read within a bound, and work that ends when its client leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from retrieval.api.problems import ProblemError
from retrieval.errors import BusyError, StoppedError
from retrieval.media import Stop
from retrieval.web import Job

MAX_BUFFERED = 800_000_000  # bytes of all bodies that are in memory at once
SILENT_S = 30.0  # a client that sends nothing for so long is given up
POLL_S = 0.2  # between two looks whether the client is still there

T = TypeVar("T")


class Bodies:
    """Bodies in memory, bounded each and together."""

    def __init__(self, max_buffered: int = MAX_BUFFERED):
        self._max_buffered = max_buffered
        self._lock = threading.Lock()
        self._buffered = 0

    @asynccontextmanager
    async def read(self, request: Request, max_bytes: int, too_large: str) -> AsyncIterator[bytes]:
        """Yield the body. ProblemError as soon as it is longer than `max_bytes`, with `too_large`.

        BusyError if all bodies together are too large; StoppedError if the client leaves.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            raise _too_large(too_large)
        body = bytearray()
        try:
            chunks = request.stream()
            while chunk := await self._next(chunks):
                if len(body) + len(chunk) > max_bytes:
                    raise _too_large(too_large)
                self._count(len(chunk))
                body += chunk
            yield bytes(body)
        except ClientDisconnect as error:
            raise StoppedError from error
        finally:
            self._count(-len(body), always=True)

    def _count(self, n_bytes: int, *, always: bool = False) -> None:
        with self._lock:
            if not always and self._buffered + n_bytes > self._max_buffered:
                raise BusyError
            self._buffered += n_bytes

    @staticmethod
    async def _next(chunks: AsyncIterator[bytes]) -> bytes:
        """Return the next part that is not empty; b"" at the end."""
        try:
            while True:
                chunk = await asyncio.wait_for(anext(chunks), SILENT_S)
                if chunk:
                    return chunk
        except StopAsyncIteration:
            return b""
        except asyncio.TimeoutError as error:
            raise ProblemError(
                HTTPStatus.REQUEST_TIMEOUT, f"Nothing was received for {SILENT_S:.0f} seconds."
            ) from error


def _too_large(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, "too_large")


async def while_connected(request: Request, work: Callable[[Stop], T]) -> T:
    """Run `work` in its own thread; it is told to stop when the client leaves.

    Call it after the body was read. StoppedError if the client has left.
    """
    job = Job(work)
    future = asyncio.wrap_future(job.future)
    # Retrieve the exception, or asyncio logs it when nobody awaits the result.
    future.add_done_callback(asyncio.Future.exception)
    try:
        while not (await asyncio.wait([future], timeout=POLL_S))[0]:
            if await request.is_disconnected():
                raise StoppedError
        return future.result()
    finally:
        job.leave()

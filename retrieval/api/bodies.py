"""The body of a request, read within a bound, and work that ends when its client leaves."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from retrieval.api.limits import client_of
from retrieval.api.problems import ProblemError
from retrieval.errors import BusyError, RetrievalError, StoppedError
from retrieval.media import Stop
from retrieval.web import Job

MAX_BUFFERED = 400_000_000  # bytes of all bodies that are in memory at once
MAX_OF_CLIENT = 250_000_000  # of those of one client: one of the largest uploads
MAX_AT_ONCE = 6  # requests with a body that one client has under way; the page sends one by one
SILENT_S = 30.0  # a client that sends nothing for so long is given up,
MIN_BYTES_PER_S = 10_000  # and one that, after that time, has sent less than this on average
POLL_S = 0.2  # between two looks whether the client is still there

T = TypeVar("T")


@dataclass
class _Share:
    """What a client, or all of them, have in memory."""

    n_bytes: int = 0
    n_requests: int = 0


class Bodies:
    """Bodies in memory, bounded each, by client and together."""

    def __init__(self, max_buffered: int = MAX_BUFFERED, max_of_client: int = MAX_OF_CLIENT):
        self._max_buffered, self._max_of_client = max_buffered, max_of_client
        self._lock = threading.Lock()
        self._all = _Share()
        self._clients: dict[str, _Share] = {}  # of those who have requests under way

    @asynccontextmanager
    async def read(self, request: Request, max_bytes: int, too_large: str) -> AsyncIterator[bytes]:
        """Yield the body. ProblemError as soon as it is longer than `max_bytes`, with `too_large`.

        ProblemError as well if it comes too slowly. BusyError if the client's bodies, or all of
        them together, are too many or too large; StoppedError if the client leaves.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            raise _too_large(too_large)
        # A bytearray would have to be copied to become bytes; what BytesIO holds are bytes.
        body = io.BytesIO()
        client = client_of(request.client.host if request.client else "")
        with self._share_of(client) as share:
            try:
                chunks, start = request.stream(), time.monotonic()
                while chunk := await self._next(chunks):
                    _check_speed(body.tell(), time.monotonic() - start)
                    if body.tell() + len(chunk) > max_bytes:
                        raise _too_large(too_large)
                    self._count(share, len(chunk))
                    body.write(chunk)
                yield body.getvalue()
            except ClientDisconnect as error:
                raise StoppedError from error
            finally:
                self._count(share, -body.tell())

    @contextmanager
    def _share_of(self, client: str) -> Iterator[_Share]:
        with self._lock:
            share = self._clients.setdefault(client, _Share())
            if share.n_requests >= MAX_AT_ONCE:
                raise BusyError
            share.n_requests += 1
        try:
            yield share
        finally:
            with self._lock:
                share.n_requests -= 1
                if not share.n_requests:
                    del self._clients[client]

    def _count(self, share: _Share, n_bytes: int) -> None:
        with self._lock:
            is_too_much = (
                self._all.n_bytes + n_bytes > self._max_buffered
                or share.n_bytes + n_bytes > self._max_of_client
            )
            if n_bytes > 0 and is_too_much:
                raise BusyError
            self._all.n_bytes += n_bytes
            share.n_bytes += n_bytes

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


def _check_speed(n_bytes: int, seconds: float) -> None:
    if seconds > SILENT_S and n_bytes < MIN_BYTES_PER_S * seconds:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"{n_bytes:,} bytes were received in {seconds:.0f} seconds; expected "
            f"{MIN_BYTES_PER_S:,} a second at least.",
        )


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
    except RetrievalError as error:
        # Its frames, of which nobody reads, hold the body, and by the job the error itself: 190 MB
        # stayed in memory until some later collection of garbage.
        raise error.with_traceback(None) from None
    finally:
        job.leave()
        del future, job

"""Media over HTTP: bounded, retried, and polite to servers.

Every response is bounded in bytes and in time, headers included. Transient failures are
retried after a pause. A server's Retry-After applies to all requests to it, and a server
that cannot be reached is left alone for a while. A server that accepts requests and does
not answer is asked last, with a short timeout. A response that is not media is rejected.
With the `etag` and `last_modified` of an earlier response, only changed files are sent.

The client is httpx2 on one event loop in a thread, for a total deadline is a cancelled task
there; requests and urllib3 bound each silence only, and needed patched connections and a
timer that shut sockets down.

Left out: caching on disk, logging in, cookies, and robots.txt (the addresses are the user's
list, not found by following links). Only public addresses are connected to, unless the user
allows others (`retrieval.build.public_addresses`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Lock
from urllib.parse import urljoin, urlsplit

import anyio
import httpx2 as httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from retrieval import __version__
from retrieval.build.host_limits import Host, HostRateLimiter
from retrieval.build.items import check_url, clean
from retrieval.build.public_addresses import CheckingTransport
from retrieval.errors import MediaError, SilentHostError, UnavailableError
from retrieval.media import media_suffix

USER_AGENT = f"clip-reaction-search/{__version__} (index builder)"
MAX_REDIRECTS = 5
BLOCK_BYTES = 65_536
HEAD_BYTES = 16  # enough for media_suffix to identify the format

_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "image/*,video/*;q=0.9,*/*;q=0.1",
    "Accept-Encoding": "identity",  # media do not shrink, and sizes stay true
}


@dataclass(frozen=True)
class Timeouts:
    """Seconds for connecting and for each silence, and for one try as a whole."""

    silence_s: float
    total_s: float


SLOW_HOST = Timeouts(3.0, 15.0)  # for one that let several requests time out


@dataclass(frozen=True)
class Fetched:
    """The server's answer; `data` is None if the file has not changed."""

    data: bytes | None
    etag: str = ""
    last_modified: str = ""


class Downloader:
    """Fetches media; thread-safe. Close it, or use it as a context manager.

    `timeout_s` bounds connecting and every silence, `total_s` one try as a whole. At most
    `per_host` requests run at once per host. A failed try is repeated `retries` times, after
    `backoff_s`, twice that, and so on, or when the server says; a server that demands more
    than `max_wait_s` is given up. `wait` replaces the pauses, in seconds. With `allow_private`
    also addresses are asked that are not public, such as those of this network.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        timeout_s: float = 20.0,
        total_s: float = 120.0,
        per_host: int = 2,
        retries: int = 3,
        backoff_s: float = 1.0,
        max_wait_s: float = 60.0,
        wait: Callable[[float], object] | None = None,
        allow_private: bool = False,
    ):
        self._max_bytes, self._allow_private = max_bytes, allow_private
        self._timeouts = Timeouts(timeout_s, total_s)
        self._short = Timeouts(min(timeout_s, SLOW_HOST.silence_s), min(total_s, SLOW_HOST.total_s))
        self._retries, self._backoff_s = retries, backoff_s
        self._hosts = HostRateLimiter(per_host, max_wait_s, wait)
        self._lock = Lock()
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._client: httpx.AsyncClient
        self._fetches: set[Future[Fetched]] = set()
        self._is_closed = False

    def __enter__(self) -> Downloader:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel all fetches."""
        with self._lock:
            self._is_closed = True
            for future in self._fetches:
                future.cancel()
            self._stack.close()

    def fetch(
        self, url: str, etag: str = "", last_modified: str = "", *, last: bool = False
    ) -> Fetched:
        """The media file at the address, or that it has not changed.

        MediaError (without the address, which the caller knows) if it is over a bound, not
        media, or gone; its subclass UnavailableError for transient failures. Of those,
        SilentHostError if the host let its last few requests time out: ask again with
        `last` when all other hosts' addresses are done.
        """
        known = Fetched(None, etag, last_modified)
        if not last and self._hosts.is_slow(_host_of(url)):
            raise SilentHostError("the server does not answer")
        with self._lock:
            if self._is_closed:
                raise UnavailableError("the download was stopped")
            if self._portal is None:  # until the first fetch, as most builds download nothing
                self._portal = self._stack.enter_context(start_blocking_portal())
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
                self._client = httpx.AsyncClient(
                    headers=_HEADERS,
                    cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
                    limits=limits,
                    transport=CheckingTransport(limits, allow_private=self._allow_private),
                )
                client = self._portal.wrap_async_context_manager(self._client)
                self._stack.enter_context(client)
            future = self._portal.start_task_soon(self._retry, url, known, last)
            self._fetches.add(future)
        try:
            return future.result()
        except CancelledError as error:
            raise UnavailableError("the download was stopped") from error
        finally:
            with self._lock:
                self._fetches.discard(future)

    async def _retry(self, url: str, known: Fetched, last: bool) -> Fetched:
        for tried in range(1, self._retries + 2):
            try:
                return await self._follow(url, known, last)
            except _TransientError as error:
                failure = error
            if isinstance(failure, _SilentError) and last:
                break
            if tried <= self._retries:
                await self._hosts.pause(self._backoff_s * 2 ** (tried - 1))
        raise UnavailableError(f"{failure} ({tried} {'tries' if tried > 1 else 'try'})")

    async def _follow(self, url: str, known: Fetched, last: bool) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._hosts.slot(_host_of(url)) as state:
                if state.is_slow and not last:
                    raise SilentHostError("the server does not answer")
                timeouts = self._short if state.is_slow else self._timeouts
                answer = await self._request(url, known, state, timeouts)
                state.silent = 0
            if isinstance(answer, Fetched):
                return answer
            url = answer
        raise MediaError(f"more than {MAX_REDIRECTS} redirects")

    async def _request(
        self, url: str, known: Fetched, host: Host, timeouts: Timeouts
    ) -> Fetched | str:
        """What was fetched, or the address that the server redirects to."""
        conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
        headers = {name: value for name, value in conditions.items() if value}
        try:
            with anyio.fail_after(timeouts.total_s):
                stream = self._client.stream(
                    "GET", url, headers=headers, timeout=timeouts.silence_s
                )
                async with stream as response:
                    host.unreached = 0
                    return await self._read(response, known, host)
        except TimeoutError as error:
            reason = f"took longer than {timeouts.total_s:g} s"
            host.count_failure(reason, reached=True)
            raise UnavailableError(reason) from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise translate_error(error, host, timeouts) from error

    async def _read(self, response: httpx.Response, known: Fetched, host: Host) -> Fetched | str:
        status, headers = response.status_code, response.headers
        etag, last_modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        if status == HTTPStatus.NOT_MODIFIED and (known.etag or known.last_modified):
            return Fetched(None, etag or known.etag, last_modified or known.last_modified)
        if response.has_redirect_location:
            return urljoin(str(response.url), headers["Location"])
        phrase = f"HTTP {status}"
        with suppress(ValueError):  # in the standard's words, for the server's may be anything
            phrase += f" {HTTPStatus(status).phrase}"
        if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _heed(host, phrase, headers.get("Retry-After"))
            raise _TransientError(phrase)
        if status != HTTPStatus.OK:
            raise MediaError(phrase)
        return Fetched(await self._read_body(response), etag, last_modified)

    async def _read_body(self, response: httpx.Response) -> bytes:
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise MediaError(f"max_bytes is {self._max_bytes:,}, this has {int(announced):,}")
        body = bytearray()
        # Raw: an encoded body, which was not asked for, is never unpacked.
        async for block in response.aiter_raw(BLOCK_BYTES):
            body += block
            if len(body) > self._max_bytes:
                raise MediaError(f"max_bytes is {self._max_bytes:,}, this has more")
            if len(body) >= HEAD_BYTES and not media_suffix(bytes(body[:HEAD_BYTES])):
                break  # not worth the rest
        if not body:
            raise MediaError("empty file")
        if not media_suffix(bytes(body[:HEAD_BYTES])):
            kind = clean(response.headers.get("Content-Type"))[:60] or "nothing in particular"
            raise MediaError(
                f"no picture that can be read; the server sent it as {kind}; "
                f"expected GIF, WebP, APNG, JPEG, PNG, MP4 or WebM"
            )
        return bytes(body)


class _TransientError(Exception):
    """A failure that another try may mend; its text is the reason."""


class _SilentError(_TransientError):
    """The server accepted the request and sent nothing."""


def translate_error(
    error: Exception, host: Host, timeouts: Timeouts
) -> MediaError | _TransientError:
    """A short reason for the failure; its class says whether another try may help."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return MediaError("the server's certificate is not valid")
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
        reason = "the server cannot be reached"
        host.count_failure(reason, reached=False)
        return _TransientError(reason)
    if isinstance(error, httpx.TimeoutException):
        reason = f"the server said nothing for {timeouts.silence_s:g} s"
        host.count_failure(reason, reached=True)
        return _SilentError(reason)
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError)):
        return MediaError("no valid address")
    return _TransientError("the connection was cut")


def _host_of(url: str) -> str:
    try:
        return urlsplit(check_url(url)).hostname or ""
    except ValueError as error:
        raise MediaError(str(error)) from error


def _heed(host: Host, why: str, retry_after: str | None) -> None:
    """Leave the host alone for as long as its Retry-After (seconds, or a date) asks."""
    try:
        if retry_after and retry_after.strip().isdecimal():
            seconds = float(retry_after)
        else:
            seconds = parsedate_to_datetime(retry_after or "").timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return
    host.leave_alone(seconds, f"{why}, and the server asks to be left alone")

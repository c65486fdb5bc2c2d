"""Media over HTTP: bounded, retried, and no burden to the servers.

Every answer is bounded in bytes and in time. What fails for the moment is tried again
after a pause; a server that asks to be left alone is left alone, by all threads, and so
is one that cannot be reached. A server that accepts requests and does not answer is left for
last, and then waited for briefly. An answer that is no picture or film is refused. With the
`etag` and `last_modified` of the last time, only what has changed is downloaded.

Left out: keeping anything on disk, logging in, cookies, and robots.txt (the addresses
are a person's list, not found by following links). Private addresses are not refused:
the list is the builder's own, and so is the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit

import requests
import urllib3.exceptions
from urllib3 import Retry

from retrieval import __version__
from retrieval.build.deadlines import Adapter, Deadline
from retrieval.build.host_limits import Host, Turns
from retrieval.build.items import check_url, clean
from retrieval.errors import MediaError, SilentHostError, UnavailableError
from retrieval.media import media_suffix

USER_AGENT = f"clip-reaction-search/{__version__} (index builder)"
MAX_REDIRECTS = 5
BLOCK_BYTES = 65_536
HEAD_BYTES = 16  # enough for media_suffix to know the kind

_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_NOT_CONNECTED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
)


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server: connecting and each silence, and one try as a whole."""

    timeout_s: float
    total_s: float


SLOW_HOST = Patience(3.0, 15.0)  # of one that let several requests time out


@dataclass(frozen=True)
class Fetched:
    """What the server sent; `data` is None if it is still what it was."""

    data: bytes | None
    etag: str = ""
    last_modified: str = ""


class Downloader:
    """Fetches media; thread-safe. Close it, or use it as a context manager.

    `timeout_s` bounds connecting, and every silence; `total_s` one try as a whole.
    `per_host` requests at most run at once at a host; further threads wait their turn.
    A failed try is repeated `retries` times, after `backoff_s`, twice that, and so on,
    or when the server says; one that says longer than `max_wait_s` is given up. `wait`
    stands in for the pauses, in seconds.
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
    ):
        self._max_bytes = max_bytes
        self._patience = Patience(timeout_s, total_s)
        self._short = Patience(min(timeout_s, SLOW_HOST.timeout_s), min(total_s, SLOW_HOST.total_s))
        self._retries = retries
        self._backoff_s = backoff_s
        self._turns = Turns(per_host, max_wait_s, wait)
        self._session = _Session()
        self._session.headers.update(
            {
                "User-Agent": USER_AGENT,
                "Accept": "image/*,video/*;q=0.9,*/*;q=0.1",
                "Accept-Encoding": "identity",  # media do not shrink, and sizes stay true
            }
        )
        # Threads may share a session as long as nothing in it changes: no cookies. An
        # `auth` that does nothing keeps it from sending passwords out of ~/.netrc.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = lambda request: request
        adapter = Adapter(pool_connections=64, pool_maxsize=per_host)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def __enter__(self) -> Downloader:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End all waiting; fetches that are under way fail at their next step."""
        self._turns.close()
        self._session.close()

    def fetch(
        self, url: str, etag: str = "", last_modified: str = "", *, last: bool = False
    ) -> Fetched:
        """The media file at the address, or word that it has not changed.

        MediaError (without the address, which the caller knows) if it is over a bound,
        no media, or gone; UnavailableError, which is one, if it may be there next time. Of
        those, SilentHostError if the host let its last few requests time out: ask again with
        `last`, when all other hosts' addresses are done.
        """
        known = Fetched(None, etag, last_modified)
        for tried in range(1, self._retries + 2):
            try:
                return self._follow(url, known, last)
            except _TryAgainError as error:
                failure = error
            if isinstance(failure, _SilentError) and last:
                break
            if tried <= self._retries:
                self._turns.pause(self._backoff_s * 2 ** (tried - 1))
        raise UnavailableError(f"{failure} ({tried} {'tries' if tried > 1 else 'try'})")

    def _follow(self, url: str, known: Fetched, last: bool) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            try:
                host = urlsplit(check_url(url)).hostname or ""
            except ValueError as error:
                raise MediaError(str(error)) from error
            with self._turns.turn(host) as state:
                if state.is_slow and not last:
                    raise SilentHostError("the server does not answer")
                patience = self._short if state.is_slow else self._patience
                answer = self._request(url, known, state, patience)
                state.answered()
            if isinstance(answer, Fetched):
                return answer
            url = answer
        raise MediaError(f"more than {MAX_REDIRECTS} redirects")

    def _request(self, url: str, known: Fetched, host: Host, patience: Patience) -> Fetched | str:
        """What was fetched, or the address that the server redirects to."""
        asked = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
        deadline = Deadline(patience.total_s)
        try:
            with (
                deadline,
                self._session.get(
                    url,
                    headers={name: value for name, value in asked.items() if value},
                    stream=True,
                    allow_redirects=False,
                    timeout=patience.timeout_s,
                ) as response,
            ):
                host.was_reached()
                answer = self._read(response, known, host)
        except (MediaError, _TryAgainError):
            if not deadline.passed:
                raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as e:
            if not deadline.passed:
                raise _named(e, host, patience) from e
        if deadline.passed:  # a body without a length only seems to be complete
            reason = f"took longer than {patience.total_s:g} s"
            host.was_silent(reason)
            raise UnavailableError(reason)
        return answer

    def _read(self, response: requests.Response, known: Fetched, host: Host) -> Fetched | str:
        status, headers = response.status_code, response.headers
        etag, last_modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        if status == HTTPStatus.NOT_MODIFIED and (known.etag or known.last_modified):
            return Fetched(None, etag or known.etag, last_modified or known.last_modified)
        target = redirect_target(response)
        if target is not None:
            return urljoin(response.url, target)
        if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _heed(host, _named_status(status), headers.get("Retry-After"))
            raise _TryAgainError(_named_status(status))
        if status != HTTPStatus.OK:
            raise MediaError(_named_status(status))
        data = self._read_body(response)
        return Fetched(data, etag, last_modified)

    def _read_body(self, response: requests.Response) -> bytes:
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise MediaError(f"max_bytes is {self._max_bytes:,}, this has {int(announced):,}")
        body = bytearray()
        for block in response.iter_content(BLOCK_BYTES):
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


class _TryAgainError(Exception):
    """A failure that another try may mend; its text is the reason."""


class _SilentError(_TryAgainError):
    """The server took the request, and said nothing."""


class _Session(requests.Session):
    """A session that never reads the body of a redirect.

    `requests` reads it whole before it returns, whatever `stream` and `allow_redirects` say:
    an answer 302 with an endless body filled the memory.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def redirect_target(response: requests.Response) -> str | None:
    """Where the server redirects to, if it does."""
    return requests.sessions.SessionRedirectMixin().get_redirect_target(response)


def _named(error: Exception, host: Host, patience: Patience) -> MediaError | _TryAgainError:
    """The failure in a few words, and whether another try may help."""
    if isinstance(
        error, (requests.exceptions.InvalidHeader, requests.exceptions.ContentDecodingError)
    ):
        return MediaError("the server's answer is malformed")
    if isinstance(error, ValueError):  # requests and urllib3 raise theirs as one
        return MediaError("no valid address")
    inner = error.args[0] if error.args else error
    cause = getattr(inner, "reason", None) or inner
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return MediaError("the server's certificate is not valid")
    if isinstance(error, requests.exceptions.ProxyError) or isinstance(cause, _NOT_CONNECTED):
        reason = "the server cannot be reached"
        host.was_not_reached(reason)
        return _TryAgainError(reason)
    if isinstance(error, requests.Timeout) or isinstance(
        cause, (urllib3.exceptions.ReadTimeoutError, TimeoutError)
    ):
        reason = f"the server said nothing for {patience.timeout_s:g} s"
        host.was_silent(reason)
        return _SilentError(reason)
    return _TryAgainError("the connection was cut")


def _heed(host: Host, why: str, retry_after: str | None) -> None:
    """Leave the host alone for as long as it asks, whichever thread it asked."""
    if retry_after is None:
        return
    try:
        seconds = Retry().parse_retry_after(retry_after)  # seconds, or a date
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return
    host.leave_alone(seconds, f"{why}, and the server asks to be left alone")


def _named_status(status: int) -> str:
    """As "HTTP 404 Not Found", in the standard's words, for the server's may be anything."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"

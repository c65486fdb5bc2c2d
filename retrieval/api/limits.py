"""Rate limits: how many requests a key, or an address, may send in a time.

The counting is that of the library `limits`, a sliding window of two counters for each client, in
memory of this process. The headers are those of draft-ietf-httpapi-ratelimit-headers-11.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from retrieval.api.problems import ProblemError


@dataclass(frozen=True)
class RateState:
    """What is left to a client after a request."""

    allowed: bool
    limit: int
    window_s: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> Mapping[str, str]:
        headers = {
            "RateLimit-Policy": f'"default";q={self.limit};w={self.window_s}',
            "RateLimit": f'"default";r={self.remaining};t={self.reset_s}',
        }
        return headers if self.allowed else {**headers, "Retry-After": str(max(1, self.reset_s))}

    def check(self) -> None:
        """ProblemError, 429, if the request is one too many."""
        if not self.allowed:
            detail = (
                f"More than {self.limit:,} requests in {self.window_s:,} seconds; expected fewer. "
                f"Try again in {max(1, self.reset_s):,} seconds."
            )
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS, detail, "rate_limit", headers=self.headers
            )


class RateLimits:
    """Counts the requests of each client against one limit, such as "60/minute"."""

    def __init__(self, limit: str):
        self._limit = parse(limit)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, client: str) -> RateState:
        """Count a request of a client."""
        allowed = self._limiter.hit(self._limit, client)
        stats = self._limiter.get_window_stats(self._limit, client)
        reset_s = max(0, math.ceil(stats.reset_time - time.time()))
        window_s = self._limit.get_expiry()
        return RateState(allowed, self._limit.amount, window_s, stats.remaining, reset_s)


def client_of(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 that a customer of IPv6 has.

    >>> client_of("192.0.2.7"), client_of("2001:db8:1:2:3::4")
    ('192.0.2.7', '2001:db8:1:2::')
    """
    with suppress(ValueError):
        known = ipaddress.ip_address(address)
        if known.version == 6 and known.ipv4_mapped is None:
            return str(ipaddress.ip_network((known, 64), strict=False).network_address)
        return str(known)
    return address

"""Per-host rate limiting: requests at once, pauses that a host asks for, hosts that are down."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from retrieval.errors import UnavailableError

# A host is down after this many failed connections in a row: without this, a dead host
# with a thousand addresses in the list costs a day.
DOWN_AFTER = 8
DOWN_S = 300.0
# A host that let this many tries in a row time out is slow, as each costs the whole timeout.
# Its addresses come last, with a short timeout; after DOWN_AFTER more timeouts it is down.
SLOW_AFTER = 3


@dataclass
class Host:
    """The shared state of all requests to a host."""

    slots: anyio.Semaphore
    users: int = 0  # requests under way or waiting for a slot
    unreached: int = 0  # failed connections in a row
    silent: int = 0  # timeouts in a row
    quiet_until: float = 0.0  # on the clock of time.monotonic
    quiet_why: str = ""

    def leave_alone(self, seconds: float, why: str) -> None:
        self.quiet_until = max(self.quiet_until, time.monotonic() + seconds)
        self.quiet_why = why

    @property
    def is_slow(self) -> bool:
        return self.silent >= SLOW_AFTER

    def count_failure(self, why: str, *, reached: bool) -> None:
        """Count a failed connection, or a timeout of a host that was reached."""
        if reached:
            self.silent += 1
            is_down = self.silent >= SLOW_AFTER + DOWN_AFTER
        else:
            self.unreached += 1
            is_down = self.unreached >= DOWN_AFTER
        if is_down:
            self.leave_alone(DOWN_S, why)


class HostRateLimiter:
    """Limits requests to `per_host` at once; for the tasks of one event loop.

    A quiet host is waited for up to `max_wait_s`, and given up beyond. `wait` replaces the
    pauses, in seconds.
    """

    def __init__(
        self, per_host: int, max_wait_s: float, wait: Callable[[float], object] | None = None
    ):
        self._per_host, self._max_wait_s, self._wait = per_host, max_wait_s, wait
        self._hosts: dict[str, Host] = {}  # only those in use or with failures

    def is_slow(self, name: str) -> bool:
        """Whether the host has timed out repeatedly; may be called from any thread."""
        host = self._hosts.get(name)
        return host is not None and host.is_slow

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[Host]:
        """Hold one of the host's slots, after the pause that it asked for.

        UnavailableError if that pause is too long.
        """
        if name not in self._hosts:
            self._hosts[name] = Host(anyio.Semaphore(self._per_host))
        host = self._hosts[name]
        host.users += 1
        try:
            async with host.slots:
                quiet_s = host.quiet_until - time.monotonic()
                if quiet_s > self._max_wait_s:
                    why = host.quiet_why
                    raise UnavailableError(f"{why}; not asked again for {quiet_s:.0f} s")
                await self.pause(quiet_s)
                yield host
        finally:
            host.users -= 1
            has_failures = host.unreached or host.silent
            if not has_failures and not host.users and host.quiet_until < time.monotonic():
                del self._hosts[name]

    async def pause(self, seconds: float) -> None:
        if seconds > 0:
            if self._wait:
                self._wait(seconds)
            else:
                await anyio.sleep(seconds)

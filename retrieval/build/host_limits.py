"""Who may talk to which host, and when.

A few requests at once at a host; none while it wants to be left alone, and none for a
while once it cannot be reached. What one thread is told, all heed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from retrieval.errors import UnavailableError

# A host that this many tries in a row could not connect to is down: without this, a
# dead host with a thousand addresses in the list costs a day.
DOWN_AFTER = 8
DOWN_S = 300.0
# A host that let this many tries in a row time out is slow: each costs the whole timeout. Its
# addresses are left for last, and then get a short one; DOWN_AFTER of those, and it is down.
SLOW_AFTER = 3


@dataclass
class Host:
    """What the threads know of a host together."""

    users: int = 0  # threads that talk to it, or wait to
    in_flight: int = 0
    unreached: int = 0  # tries in a row
    silent: int = 0  # tries in a row that timed out
    quiet_until: float = 0.0  # on the clock of time.monotonic
    quiet_why: str = ""

    def leave_alone(self, seconds: float, why: str) -> None:
        self.quiet_until = max(self.quiet_until, time.monotonic() + seconds)
        self.quiet_why = why

    @property
    def is_slow(self) -> bool:
        return self.silent >= SLOW_AFTER

    def was_reached(self) -> None:
        self.unreached = 0

    def was_not_reached(self, why: str) -> None:
        self.unreached += 1
        if self.unreached >= DOWN_AFTER:
            self.leave_alone(DOWN_S, why)

    def answered(self) -> None:
        self.silent = 0

    def was_silent(self, why: str) -> None:
        self.silent += 1
        if self.silent >= SLOW_AFTER + DOWN_AFTER:
            self.leave_alone(DOWN_S, why)


class Turns:
    """Gives each host's `per_host` places to the threads that ask for them; thread-safe.

    A quiet host is waited for up to `max_wait_s`, and given up beyond. `wait` takes
    seconds; the default is one that `close` ends at once.
    """

    def __init__(
        self, per_host: int, max_wait_s: float, wait: Callable[[float], object] | None = None
    ):
        self._per_host = per_host
        self._max_wait_s = max_wait_s
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._changed = threading.Condition()
        self._hosts: dict[str, Host] = {}  # only those in use or in disgrace

    @contextmanager
    def turn(self, name: str) -> Iterator[Host]:
        """Holds one of the host's places, once it wants to hear from us.

        UnavailableError if that is too long to wait, or the turns are closed.
        """
        with self._changed:
            host = self._hosts.setdefault(name, Host())
            host.users += 1
            self._changed.wait_for(lambda: host.in_flight < self._per_host or self._closed.is_set())
            host.in_flight += 1
        try:
            quiet_s = host.quiet_until - time.monotonic()
            if quiet_s > self._max_wait_s:
                raise UnavailableError(f"{host.quiet_why}; not asked again for {quiet_s:.0f} s")
            self.pause(quiet_s)
            yield host
        finally:
            with self._changed:
                host.in_flight -= 1
                host.users -= 1
                in_order = not host.unreached and not host.silent
                if in_order and not host.users and host.quiet_until < time.monotonic():
                    del self._hosts[name]
                self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """UnavailableError if the turns are closed, before or meanwhile."""
        if seconds > 0 and not self._closed.is_set():
            self._wait(seconds)
        if self._closed.is_set():
            raise UnavailableError("the download was stopped")

    def close(self) -> None:
        self._closed.set()
        with self._changed:
            self._changed.notify_all()

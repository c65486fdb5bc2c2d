"""What visitors sent, in memory for a while: embeddings and records, never pictures.

Who has the random token has what it stands for. The least recently used is forgotten first,
when there are too many or they are too large together, and what nobody used for a while: a thread
looks for that, so that memory is freed also where nobody comes any more.
"""

from __future__ import annotations

import secrets
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

MAX_HELD = 2_000
MAX_BYTES = 100_000_000
IDLE_S = 3 * 3600.0
SWEEP_S = 30.0  # at most between two looks for what nobody used


@dataclass
class _Entry(Generic[T]):
    value: T
    size_bytes: int
    used_at_s: float


class _Sweeper:
    """A daemon thread that has every Held forget, for as long as there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[Held[Any]] = weakref.WeakSet()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, held: Held[Any]) -> None:
        with self._lock:
            self._all.add(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        self._changed.set()

    def _run(self) -> None:
        while True:
            self._changed.wait(self._sweep())
            self._changed.clear()

    def _sweep(self) -> float:
        """Have them forget; returns the seconds until the next time."""
        with self._lock:
            known = list(self._all)
        for held in known:
            held.forget_idle()
        return min([SWEEP_S, *(held.idle_s / 2 for held in known)])


_sweeper = _Sweeper()


class Held(Generic[T]):
    """Values by random token, bounded in number, bytes and time without use."""

    def __init__(
        self,
        max_held: int = MAX_HELD,
        max_bytes: int = MAX_BYTES,
        idle_s: float = IDLE_S,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._max_held, self._max_bytes, self._idle_s = max_held, max_bytes, idle_s
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()  # least recently used first
        self._bytes = 0
        _sweeper.add(self)

    @property
    def idle_s(self) -> float:
        return self._idle_s

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, value: T, size_bytes: int) -> str:
        """Hold a value; returns its token."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._set(token, value, size_bytes)
        return token

    def get(self, token: str) -> T | None:
        """The value of a token; None if there is none, or it was forgotten."""
        with self._lock:
            self._forget_idle()
            entry = self._entries.get(token)
            if entry is None:
                return None
            entry.used_at_s = self._clock()
            self._entries.move_to_end(token)
            return entry.value

    def change(self, token: str, change: Callable[[T], tuple[T, int]]) -> T | None:
        """Replace a value by what `change` makes of it, with its size; None as in `get`.

        Nobody else changes it meanwhile; `change` has to be quick.
        """
        with self._lock:
            self._forget_idle()
            entry = self._entries.get(token)
            if entry is None:
                return None
            value, size_bytes = change(entry.value)
            self._set(token, value, size_bytes)
            return value

    def forget(self, token: str) -> None:
        """Forget a value; nothing happens if there is none."""
        with self._lock:
            self._drop(token)

    def forget_idle(self) -> None:
        """Forget what was not used for a while; `get` and `put` do so as well."""
        with self._lock:
            self._forget_idle()

    def _set(self, token: str, value: T, size_bytes: int) -> None:
        self._drop(token)
        self._forget_idle()
        self._entries[token] = _Entry(value, size_bytes, self._clock())
        self._bytes += size_bytes
        while len(self._entries) > 1 and (
            len(self._entries) > self._max_held or self._bytes > self._max_bytes
        ):
            self._drop(next(iter(self._entries)))

    def _forget_idle(self) -> None:
        before = self._clock() - self._idle_s
        while self._entries:
            token, entry = next(iter(self._entries.items()))
            if entry.used_at_s >= before:
                return
            self._drop(token)

    def _drop(self, token: str) -> None:
        entry = self._entries.pop(token, None)
        if entry is not None:
            self._bytes -= entry.size_bytes

"""Turns at decoding: few at a time, a bounded number waiting, ended when nobody waits any more.

The page's server decodes what visitors ask for: stills of the library, pictures that they
upload. Each kind has its own `Turns`, so that however many ask, a processor stays free for
searches. Work runs in daemon threads: the server ends without waiting for them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

from retrieval.errors import BusyError, StoppedError
from retrieval.media import Stop

SLICE_S = 0.5  # for which a turn is held before it is passed on
POLL_S = 0.1  # between two looks at whether to stop, while waiting for a turn

T = TypeVar("T")


class Turns:
    """First come, first served: `at_once` hold a turn, at most `waiting` more wait for one."""

    def __init__(self, at_once: int, waiting: int):
        self._at_once, self._most = at_once, at_once + waiting
        self._changed = threading.Condition()
        self._line: deque[object] = deque()  # those who wait, in order
        self._n_holding = 0
        self._n_inside = 0  # who hold a turn or wait for one

    @contextmanager
    def turn(self, stop: Stop) -> Iterator[Turn]:
        """Hold a turn. BusyError if too many wait, StoppedError if `stop` while waiting."""
        with self._changed:
            if self._n_inside >= self._most:
                raise BusyError
            self._n_inside += 1
            try:
                self._wait(stop)
            except BaseException:
                self._n_inside -= 1
                raise
        turn = Turn(self, stop)
        try:
            yield turn
        finally:
            with self._changed:
                turn.is_over = True
                self._n_holding -= turn.is_held
                self._n_inside -= 1
                self._changed.notify_all()

    def _wait(self, stop: Stop) -> None:
        """Wait at the end of the line until it is this thread's turn; with the lock held."""
        ticket = object()
        self._line.append(ticket)
        try:
            while self._line[0] is not ticket or self._n_holding >= self._at_once:
                if stop():
                    raise StoppedError
                self._changed.wait(POLL_S)
            self._n_holding += 1
        finally:
            self._line.remove(ticket)
            self._changed.notify_all()


class Turn:
    """A turn that is held, and can be passed on between two pieces of work."""

    def __init__(self, turns: Turns, stop: Stop):
        self._turns, self._stop = turns, stop
        self._since = time.monotonic()
        self.is_held, self.is_over = True, False

    def pass_on(self) -> None:
        """Let those go first who wait, if it has been held for a while.

        StoppedError if stopped meanwhile. May be called in another thread than the one that
        holds the turn, and even while that one gives it up.
        """
        turns = self._turns
        with turns._changed:
            if not turns._line or time.monotonic() - self._since < SLICE_S:
                return
            turns._n_holding -= 1
            self.is_held = False
            turns._changed.notify_all()
            turns._wait(lambda: self.is_over or self._stop())
            if self.is_over:
                turns._n_holding -= 1
                turns._changed.notify_all()
                raise StoppedError
            self.is_held, self._since = True, time.monotonic()


class Job(Generic[T]):
    """Work in a daemon thread, which ends when all who waited for it have left."""

    def __init__(self, work: Callable[[Stop], T]):
        self.future: Future[T] = Future()
        self._left = threading.Event()
        self._work = work
        self.future.set_running_or_notify_cancel()  # it is ended by `leave`, not by cancelling
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self.future.set_result(self._work(self._left.is_set))
        except BaseException as error:
            self.future.set_exception(error)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within this time."""
        return bool(wait([self.future], timeout_s).done)

    def leave(self) -> None:
        """Have it end soon; its result is then of no use to anybody."""
        self._left.set()


class SharedJobs(Generic[T]):
    """Jobs that several may wait for: the same work asked for twice at a time is done once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[Hashable, tuple[Job[T], int]] = {}  # key → job, how many wait for it

    @contextmanager
    def job(self, key: Hashable, work: Callable[[Stop], T]) -> Iterator[Job[T]]:
        """The job with this key, begun if there is none; it ends when the last one leaves."""
        with self._lock:
            known = self._jobs.get(key)
            job = known[0] if known else Job(work)
            self._jobs[key] = job, (known[1] if known else 0) + 1
        try:
            yield job
        finally:
            with self._lock:
                n_waiting = self._jobs[key][1] - 1
                if n_waiting:
                    self._jobs[key] = job, n_waiting
                else:
                    del self._jobs[key]
                    job.leave()

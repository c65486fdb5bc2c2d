"""A fair, bounded queue for decoding, and jobs that stop when nobody waits for them.

The server decodes stills of the library and visitors' uploads, in worker processes of low
priority, so that searches come first. Each kind of work has its own `Turns` and its own sandbox.
Jobs run in daemon threads: the server exits without waiting for them.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

from retrieval.errors import BusyError, StoppedError
from retrieval.media import Stop, media_sandbox
from retrieval.sandbox import Sandbox

SLICE_S = 0.5  # the time after which a turn may be passed on
POLL_S = 0.1  # between two calls of `stop` while waiting for a turn

# Workers of each kind of work. More than may hold a turn: expensive files go on beside the others,
# and four of them leave a worker for a fifth visitor.
N_WORKERS = (os.cpu_count() or 1) + 3
# Of workers, so that they get what searches leave. While four sessions uploaded the worst legal
# files (2 busy cores), 95 of 100 searches took at most 116 ms; at a niceness of 10, 262 ms.
NICENESS = 19

T = TypeVar("T")


def server_sandbox() -> Sandbox:
    """A sandbox for one kind of the server's work."""
    return media_sandbox(N_WORKERS, NICENESS)


class Turns:
    """A first-in, first-out queue: `at_once` callers hold a turn, at most `waiting` more wait."""

    def __init__(self, at_once: int, waiting: int):
        self._at_once, self._most = at_once, at_once + waiting
        self._changed = threading.Condition()
        self._line: deque[object] = deque()  # waiting callers, in order
        self._n_holding = 0
        self._n_inside = 0  # callers that hold a turn or wait for one

    @contextmanager
    def turn(self, stop: Stop) -> Iterator[Turn]:
        """Hold a turn. BusyError if the queue is full, StoppedError if `stop()` while waiting."""
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
                self._n_holding -= turn.is_held
                turn.is_held = False
                self._n_inside -= 1
                self._changed.notify_all()

    def _wait(self, stop: Stop) -> None:
        """Wait for this thread's turn at the end of the queue. Call with the lock held."""
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
    """A turn that is held; long work lets others begin."""

    def __init__(self, turns: Turns, stop: Stop):
        self._turns, self._stop = turns, stop
        self._since = time.monotonic()
        self.is_held = True

    def stop(self) -> bool:
        """The caller's `stop`, for work to call; passes the turn on as well.

        After SLICE_S, or as soon as somebody waits then, the next caller gets the turn, and this
        work goes on beside the other. How many such there are is limited by the sandbox's workers.
        """
        turns = self._turns
        with turns._changed:
            if self.is_held and turns._line and time.monotonic() - self._since >= SLICE_S:
                turns._n_holding -= 1
                self.is_held = False
                turns._changed.notify_all()
        return self._stop()


class Job(Generic[T]):
    """Work in a daemon thread, which is told to stop when its caller leaves."""

    def __init__(self, work: Callable[[Stop], T]):
        self.future: Future[T] = Future()
        self.n_callers = 0  # counted by SharedJobs
        self._left = threading.Event()
        self._work = work
        self.future.set_running_or_notify_cancel()  # stopped by `leave`, not by cancelling
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self.future.set_result(self._work(self._left.is_set))
        except BaseException as error:
            self.future.set_exception(error)

    def wait(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` seconds; returns whether the work has ended."""
        return bool(wait([self.future], timeout_s).done)

    def leave(self) -> None:
        """Tell the work to stop: nobody needs its result."""
        self._left.set()


class SharedJobs(Generic[T]):
    """Jobs shared by concurrent callers: work with the same key runs once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[Hashable, Job[T]] = {}

    @contextmanager
    def job(self, key: Hashable, work: Callable[[Stop], T]) -> Iterator[Job[T]]:
        """The running job with this key, or a new one; it stops when the last caller leaves."""
        with self._lock:
            if key not in self._jobs:
                self._jobs[key] = Job(work)
            job = self._jobs[key]
            job.n_callers += 1
        try:
            yield job
        finally:
            with self._lock:
                job.n_callers -= 1
                if not job.n_callers:
                    del self._jobs[key]
                    job.leave()

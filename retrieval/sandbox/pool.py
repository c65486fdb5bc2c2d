"""A pool of worker processes that do jobs on bytes from outside.

Decoders are large programs in C, and a file can make them crash, loop, or take all memory. So
they run in processes of their own, within limits (`retrieval.sandbox.limits`): what goes wrong is
the reason of that one file, and the next one goes to a fresh worker.

Our own code, as the pools that there are (multiprocessing, concurrent.futures, loky, pebble)
unpickle what a worker sends: a decoder that was taken over could run code in this process. They
neither bound a job's CPU time and memory nor cancel a running one.

What it does not stop: a worker that was taken over reads what this user may read. Its
environment holds no secrets.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from retrieval.errors import StoppedError, UnavailableError
from retrieval.sandbox import keeper
from retrieval.sandbox.job import CrashError, Job, MemoryLimitError, Part
from retrieval.sandbox.process import TICK_S, Worker

IDLE_S = 60.0

T = TypeVar("T")
Stop = Callable[[], bool]


class Sandbox:
    """At most `n_workers` processes, started when they are needed. Thread-safe.

    Workers that were idle for `idle_s` are ended, the others with this process.
    """

    def __init__(
        self,
        n_workers: int,
        modules: Sequence[str] = (),
        niceness: int = 0,
        idle_s: float = IDLE_S,
    ):
        """Workers import `modules` when they start, and run at this niceness (0 to 19)."""
        self.n_workers = n_workers
        self._start = partial(Worker, tuple(modules), niceness)
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._idle: list[Worker] = []
        self._n_busy = 0

    def run(self, job: Job, read: Callable[[Iterator[Part]], T], stop: Stop | None = None) -> T:
        """Do a job, and return what `read` makes of the parts of its answer.

        Raises MediaError, LimitError, UnavailableError or StoppedError as the task raised it;
        TaskError for other exceptions; LimitError if the job exceeds its limits, MediaError if
        the worker crashes. StoppedError soon after `stop`, called here, returns True.

        A crash or a lack of memory in a worker that did other jobs before may be due to those:
        the job is tried again in a fresh one, and `read` called again.
        """
        with self._changed:
            while self._n_busy >= self.n_workers:
                if stop and stop():
                    raise StoppedError
                self._changed.wait(TICK_S)
            self._n_busy += 1
        try:
            worker = self._take()
            is_fresh = worker.n_jobs == 0
            try:
                return self._run(worker, job, read, stop)
            except (CrashError, MemoryLimitError):
                if is_fresh:
                    raise
            return self._run(self._new(), job, read, stop)
        finally:
            with self._changed:
                self._n_busy -= 1
                self._changed.notify()

    def _run(
        self, worker: Worker, job: Job, read: Callable[[Iterator[Part]], T], stop: Stop | None
    ) -> T:
        parts = worker.parts(job, stop)
        try:
            answer = read(parts)
            for _ in parts:  # what `read` has left
                pass
            return answer
        finally:
            parts.close()
            self._give_back(worker)

    def _take(self) -> Worker:
        while True:
            with self._changed:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return self._new()
            if not worker.has_ended:
                return worker
            worker.end()

    def _new(self) -> Worker:
        try:
            return keeper.call(self._start, self)
        except OSError as error:
            raise UnavailableError(f"no decoder can be started ({error.strerror})") from error

    def _give_back(self, worker: Worker) -> None:
        if worker.is_worn or worker.has_ended:
            worker.end()
            return
        worker.idle_since = time.monotonic()
        with self._changed:
            self._idle.append(worker)

    def end_idle(self) -> None:
        """End the workers that have been idle for `idle_s`."""
        self._end(lambda worker: time.monotonic() - worker.idle_since >= self._idle_s)

    def close(self) -> None:
        """End all idle workers. The next job starts new ones."""
        self._end(lambda worker: True)

    def _end(self, is_over: Callable[[Worker], bool]) -> None:
        with self._changed:
            over = [worker for worker in self._idle if is_over(worker)]
            self._idle = [worker for worker in self._idle if worker not in over]
        for worker in over:
            worker.end()

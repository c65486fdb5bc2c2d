"""A worker as its parent sees it: a process, a connection, and one job at a time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress

from retrieval.errors import MediaError, StoppedError, UnavailableError
from retrieval.sandbox.job import (
    INVALID,
    CrashError,
    Job,
    MemoryLimitError,
    Part,
    error_of,
    error_of_end,
)
from retrieval.sandbox.messages import MessageError, pair, receive, send

TICK_S = 0.05  # between two looks whether to stop
STOPPING_S = 0.3  # a worker that goes on for longer after it was told to stop is killed
_ENDING_S = 5.0  # a worker that closed its connection is killed unless it ends
# What a worker may see of the environment: no tokens, no secrets, no settings of ours.
ENVIRONMENT = ("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT")
ENVIRONMENT_PREFIXES = ("LC_", "PYTHON")
# Files are decoded side by side already. Threads of a library would each reserve memory, too.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """A running worker process."""

    def __init__(self, modules: Sequence[str], niceness: int):
        """Start it; it imports the modules. OSError if the system starts no more processes."""
        self._connection, theirs = pair()
        try:
            command = [sys.executable, "-m", "retrieval.sandbox.worker", str(os.getpid())]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if sys.platform == "win32" else theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=os.path.abspath(os.sep),
                env=_environment(),
            )
            if sys.platform == "win32":  # which inherits no sockets
                with self.process.stdin as file:
                    file.write(theirs.share(self.process.pid))
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()
        self._connection.settimeout(TICK_S)
        self._settings = {"modules": list(modules), "niceness": niceness}
        self._is_ready = False
        self.n_jobs = 0  # done before the present one
        self.idle_since = time.monotonic()
        self.is_worn = False  # it has grown, and should be replaced

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def parts(
        self, job: Job, stop: Callable[[], bool] | None = None
    ) -> Generator[Part, None, None]:
        """Do a job, and yield the parts of its answer.

        Raises what the job raised; LimitError, MediaError or UnavailableError if the worker did
        not end it; StoppedError soon after `stop` returns True. Unless all parts were taken, or
        the exception is the task's own, the worker is to be ended: `is_worn` is then set.
        """
        exchange = _Exchange(self._connection, job, stop)
        self.is_worn = True  # until all has gone well
        try:
            if not self._is_ready:
                send(self._connection, self._settings, wait=exchange.wait)
            send(self._connection, job.head, job.blocks, exchange.wait)
            if not self._is_ready:
                fields, _ = receive(self._connection, 0, exchange.wait)
                self._is_ready = fields.get("ready") is True
            exchange.is_sent = True
            while True:
                fields, blocks = receive(self._connection, job.max_bytes, exchange.wait)
                if isinstance(fields.get("part"), dict):
                    if not exchange.is_stopped:
                        yield Part(fields["part"], blocks)
                    continue
                self.n_jobs += 1
                self.is_worn = fields.get("replace") is not False
                if exchange.is_stopped:
                    raise StoppedError
                if fields.get("end") is True:
                    return
                error = error_of(fields, job)
                self.is_worn |= isinstance(error, MemoryLimitError)
                raise error
        except MessageError as error:
            raise CrashError(f"{INVALID} ({error})") from error
        except (EOFError, ConnectionError) as error:
            raise self._why_ended(job, exchange) from error

    def _why_ended(self, job: Job, exchange: _Exchange) -> MediaError | StoppedError:
        try:
            status = self.process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self.end()
            return CrashError("the decoder gave no answer")
        if exchange.is_stopped:
            return StoppedError()
        if not self._is_ready:
            return UnavailableError(
                f"the decoder's process does not start (exit status {status}); try "
                f"python -m retrieval.sandbox.worker {os.getpid()}"
            )
        return error_of_end(status, job)

    def end(self) -> None:
        """Kill it, if it still runs, and forget it."""
        with suppress(OSError):
            self.process.kill()
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_ENDING_S)


class _Exchange:
    """The time that a job has, and its cancellation."""

    def __init__(self, connection: socket.socket, job: Job, stop: Callable[[], bool] | None):
        self._connection, self._job, self._stop = connection, job, stop
        self._deadline = time.monotonic() + job.wall_s
        self._next_look = 0.0
        self._stopped_at = 0.0
        self.is_sent = False

    @property
    def is_stopped(self) -> bool:
        return self._stopped_at > 0

    def wait(self) -> None:
        """Raise StoppedError or UnavailableError if a worker has been waited for long enough."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + TICK_S
        if self.is_stopped:
            if now - self._stopped_at > STOPPING_S:
                raise StoppedError
        elif self._stop and self._stop():
            if not self.is_sent:
                raise StoppedError
            self._stopped_at = now
            send(self._connection, {"stop": True}, wait=self.wait)
        elif now > self._deadline:
            raise UnavailableError(f"decoding it took more than {self._job.wall_s:.0f} s")


def _environment() -> dict[str, str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in ENVIRONMENT or name.startswith(ENVIRONMENT_PREFIXES)
    }
    # The same modules as here, wherever they were found; "" is the working folder.
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path)
    return environment | dict.fromkeys(ONE_THREAD, "1")

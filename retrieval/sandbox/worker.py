"""A worker: does one job after the other, as `python -m retrieval.sandbox.worker PARENT`.

Its standard input is its connection. What decoders print goes nowhere. It ends with its parent.
"""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from retrieval.errors import StoppedError
from retrieval.sandbox.limits import (
    end_with_parent,
    lift_limits_of_job,
    memory_bytes,
    set_lasting_limits,
    set_limits_of_job,
)
from retrieval.sandbox.messages import receive, send

# A worker that has grown by so much since its start is replaced: memory of earlier jobs would
# otherwise add up.
MAX_GROWTH_BYTES = 128_000_000


def main() -> None:
    """Work until the connection is closed."""
    connection = _connect()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this
    end_with_parent(int(sys.argv[1]))
    try:
        settings, _ = receive(connection, 0)
        for name in settings["modules"]:
            import_module(name)
        sys.dont_write_bytecode = True
        set_lasting_limits(settings["niceness"])
        send(connection, {"ready": True})
        start_bytes = memory_bytes()
        while True:
            job, blocks = receive(connection, sys.maxsize)
            if "task" not in job:
                continue  # told to stop when the job had ended already
            end = _run(connection, job, blocks)
            blocks.clear()
            lift_limits_of_job()
            if "error" in end:
                gc.collect()  # a traceback holds pictures
            is_large = memory_bytes() > start_bytes + MAX_GROWTH_BYTES
            send(connection, end | {"replace": is_large})
    except (EOFError, OSError):
        return  # the parent has ended


def _connect() -> socket.socket:
    if sys.platform == "win32":
        connection = socket.fromshare(sys.stdin.buffer.read())
    else:
        connection = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    return connection


def _run(connection: socket.socket, job: dict[str, Any], blocks: list[Any]) -> dict[str, Any]:
    """Send the parts of a job's answer; returns what became of it."""

    def stop() -> bool:
        """Whether the parent says something, which can only be that, or has ended."""
        return bool(select.select([connection], [], [], 0)[0])

    try:
        task = _load(job["task"])
        set_limits_of_job(job["cpu_s"], job["memory_mb"])
        for fields, parts in task(job["fields"], blocks, stop):
            send(connection, {"part": fields}, parts)
    except StoppedError:
        return {"error": StoppedError.__name__}
    except Exception as error:
        if _is_of_memory(error) and memory_bytes():
            return {"error": "memory"}
        return {"error": type(error).__name__, "text": str(error)[:1_000]}
    return {"end": True}


def _load(name: str) -> Callable[..., Iterator[Any]]:
    module, _, function = name.partition(":")
    task: Callable[..., Iterator[Any]] = getattr(import_module(module), function)
    return task


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether it, or what it came of, is about memory.

    >>> _is_of_memory(MemoryError()), _is_of_memory(OSError(errno.ENOMEM, "")), _is_of_memory(None)
    (True, True, False)
    """
    while error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        error = error.__cause__ or error.__context__
    return False


if __name__ == "__main__":
    main()

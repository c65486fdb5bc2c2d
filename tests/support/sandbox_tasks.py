"""What goes wrong in decoders, as tasks of a sandbox."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from retrieval.errors import LimitError, StoppedError, UnavailableError

Parts = Iterator[tuple[dict[str, Any], list[bytes]]]
Fields = dict[str, Any]
Stop = Callable[[], bool]


def echo(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Yield what came, and the process that it came to."""
    yield {**fields, "pid": os.getpid()}, blocks


def crash(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Read from address 0."""
    ctypes.string_at(0)
    yield {}, []


def crash_unless_first(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Crash in a process that has done a job before, as if that had damaged its memory."""
    if hasattr(os, "has_done_a_job"):
        ctypes.string_at(0)
    os.has_done_a_job = True  # type: ignore[attr-defined]
    yield {"pid": os.getpid()}, []


def eat(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Take `mb` of memory."""
    taken = bytearray(fields["mb"] * 1_000_000)
    yield {"n": len(taken)}, []


def loop(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Compute without end, in C: a number that has no end of digits."""
    yield {"n": 10 ** (10**10)}, []


def sleep(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Wait without end, and without looking whether to stop."""
    time.sleep(1_000)
    yield {}, []


def wait(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Wait until told to stop, as between frames."""
    while not stop():
        time.sleep(0.01)
    raise StoppedError
    yield {}, []


def chatter(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Print to the standard output and error, from Python and from C."""
    print("rubbish", flush=True)
    os.write(1, b"rubbish" * 10_000)
    os.write(2, b"rubbish" * 10_000)
    yield {"pid": os.getpid()}, []


def babble(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Write bytes to the parent that are no message, as a worker that was taken over."""
    for number in range(3, 64):
        try:
            connection = socket.socket(fileno=os.dup(number))
            connection.sendall(bytes.fromhex(fields["bytes"]))
        except OSError:
            continue
    time.sleep(1_000)
    yield {}, []


def flood(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Yield blocks of so many bytes."""
    yield {}, [bytes(fields["n"])]


def fail(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Raise the error of this name."""
    errors = [LimitError, UnavailableError, KeyError]
    raise {error.__name__: error for error in errors}[fields["name"]]("of the task")
    yield {}, []


def write_file(fields: Fields, blocks: list[bytes], stop: Stop) -> Parts:
    """Write a byte into a file."""
    with open(fields["path"], "wb", buffering=0) as file:
        file.write(b"x")
    yield {}, []

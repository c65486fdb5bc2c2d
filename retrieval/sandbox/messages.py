"""Messages between a process and its workers: a JSON object, and blocks of bytes.

    4 bytes                    length of the JSON, big-endian
    {"sizes": [5, …], …}       the lengths of the blocks, and what else is said
    blocks                     one after the other

Nothing is ever unpickled: what unpickles can be made to run code, and a decoder may have been
taken over by the file that it decodes. What arrives is bounded before memory is taken for it.

Over a pair of Unix sockets. Milliseconds to a process and back (python -m benchmarks sandbox):

    bytes to the worker        100 kB    1 MB    30 MB    1 MB, 4.3 MB back
    pipes                      0.05      0.50    27.2     2.96
    sockets with 1 MB each     0.05      0.26    20.2     2.13
    shared memory (memfd)      0.05      0.25    20.1     1.24

Shared memory saves a millisecond of the 40 that a GIF takes, and only for answers; it would be
memory of ours that a worker can write to at any time.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

MAX_JSON_BYTES = 100_000
BUFFER_BYTES = 1_000_000
_LENGTH = struct.Struct(">I")

Block: TypeAlias = "bytes | bytearray | memoryview"
Wait = Callable[[], None]  # called while nothing arrives; may raise


class MessageError(Exception):
    """What arrived is no message, or is larger than allowed."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets."""
    sockets = socket.socketpair()
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    return sockets


def send(
    connection: socket.socket,
    fields: dict[str, Any],
    blocks: Sequence[Block] = (),
    wait: Wait | None = None,
) -> None:
    """Send a message. `wait` is called each time that the connection's timeout has passed, and
    between parts; OSError if the other side has gone."""
    head = json.dumps(fields | {"sizes": [len(block) for block in blocks]}).encode()
    for block in (_LENGTH.pack(len(head)) + head, *blocks):
        view = memoryview(block)
        while view:
            with suppress(TimeoutError):
                view = view[connection.send(view) :]
            if wait:
                wait()


def receive(
    connection: socket.socket, max_bytes: int, wait: Wait | None = None
) -> tuple[dict[str, Any], list[bytes | bytearray]]:
    """(fields, blocks) of the next message, of which the blocks have at most `max_bytes`.

    MessageError if that is not what arrives, EOFError or OSError if the other side has gone.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size, wait))
    if length > MAX_JSON_BYTES:
        raise MessageError(f"a message of {length:,} bytes")
    try:
        fields = json.loads(_exactly(connection, length, wait))
        sizes = fields.pop("sizes")
        is_valid = all(type(size) is int and size >= 0 for size in sizes)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise MessageError(f"no message ({type(error).__name__})") from error
    if not is_valid or sum(sizes) > max_bytes:
        raise MessageError(f"more than {max_bytes:,} bytes")
    return fields, [_exactly(connection, size, wait) for size in sizes]


def _exactly(connection: socket.socket, size: int, wait: Wait | None) -> bytes | bytearray:
    if wait is None:  # in a worker: without a second copy, as decoders take bytes only
        data = connection.recv(size, socket.MSG_WAITALL) if size else b""
        if len(data) < size:
            raise EOFError
        return data
    block = bytearray(size)
    rest = memoryview(block)
    while rest:
        try:
            n_read = connection.recv_into(rest)
        except TimeoutError:
            pass
        else:
            if not n_read:
                raise EOFError
            rest = rest[n_read:]
        wait()
    return block

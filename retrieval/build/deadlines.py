"""Requests that end in time, whatever the server does.

`requests` bounds the silence between two packets. A server that sends a byte now and
then, in its headers or in its body, keeps that bound and the thread for days. Here a
timer shuts the request's socket down, which wakes whoever reads from it.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_current = threading.local()  # .deadline: that of the request this thread is making


class Deadline:
    """While entered, requests of this thread through an Adapter end after `seconds` in all.

    They fail, or seem to be over: ask `passed` before believing what was read.
    """

    def __init__(self, seconds: float):
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.passed = False

    def __enter__(self) -> Deadline:
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._timer.cancel()
        _current.deadline = None
        with self._lock:  # from here on the socket is another request's
            self._socket = None

    def watch(self, connected: socket.socket) -> None:
        """TimeoutError if it is too late already."""
        with self._lock:
            if self.passed:
                raise TimeoutError("the deadline has passed")
            self._socket = connected

    def _end(self) -> None:
        with self._lock:
            self.passed = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


class _Watched:
    """A connection of urllib3 that shows its socket to the deadline before it waits."""

    sock: Any

    def getresponse(self) -> Any:
        deadline: Deadline | None = getattr(_current, "deadline", None)
        if deadline is not None:
            deadline.watch(self.sock)
        # mixed into a connection, which has it
        return super().getresponse()  # type: ignore[misc]


class _HTTPConnection(_Watched, HTTPConnection):
    pass


class _HTTPSConnection(_Watched, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class Adapter(HTTPAdapter):
    """An adapter of requests whose connections heed a Deadline, through a proxy too."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

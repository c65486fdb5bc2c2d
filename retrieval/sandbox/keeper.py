"""The thread that starts workers and ends idle ones: one per process, from the first worker on.

On Linux a worker is killed when the thread that started it ends, so that must be a thread that
ends with the process only.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

LOOK_S = 5.0  # between two looks for idle workers

T = TypeVar("T")


class Keeping(Protocol):
    """Something that has workers."""

    def end_idle(self) -> None:
        """End the workers that have been idle for long."""

    def close(self) -> None:
        """End all workers that are idle."""


_lock = threading.Lock()
_calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
_kept: WeakSet[Keeping] = WeakSet()
_thread: threading.Thread | None = None


def call(function: Callable[[], T], keeping: Keeping) -> T:
    """The result of the function, called in the keeper's thread."""
    global _thread
    with _lock:
        _kept.add(keeping)
        if _thread is None:
            _thread = threading.Thread(target=_keep, name="sandbox", daemon=True)
            _thread.start()
            atexit.register(_close_all)
    future: Future[T] = Future()
    _calls.put((function, future))
    return future.result()


def _keep() -> None:
    while True:
        try:
            function, future = _calls.get(timeout=LOOK_S)
        except Empty:
            for keeping in _all():
                keeping.end_idle()
            continue
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)


def _all() -> list[Keeping]:
    with _lock:
        return list(_kept)


def _close_all() -> None:
    for keeping in _all():
        keeping.close()

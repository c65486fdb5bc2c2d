"""The limits that a worker sets to itself, before it sees a byte from outside.

Linux has all of them. macOS ignores the one on memory, and Windows has none: there, the parent
ends a worker that takes too long. There is none on processes: it would count all of the user's.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import resource

MAX_FILES = 64
_PR_SET_PDEATHSIG = 1  # prctl(2)
_MEMORY = Path("/proc/self/statm")


def end_with_parent(parent: int) -> None:
    """Have this process killed when the thread that started it ends, even in the middle of a
    decoder. Elsewhere than on Linux it ends at its next message."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has died before
            os._exit(1)


def set_lasting_limits(niceness: int) -> None:
    """No core dumps, no bytes into files, few open files, and this priority."""
    if sys.platform == "win32":
        return
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MAX_FILES),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    with suppress(OSError):
        os.nice(niceness)


def set_limits_of_job(cpu_s: int, memory_mb: int) -> None:
    """Allow so many more CPU seconds, up to one more, and so much more memory, from now on."""
    if sys.platform == "win32":
        return
    _set_soft(resource.RLIMIT_CPU, int(time.process_time()) + cpu_s + 1)
    if used := memory_bytes():
        _set_soft(resource.RLIMIT_AS, used + memory_mb * 1_000_000)


def lift_limits_of_job() -> None:
    """For what is done between jobs."""
    if sys.platform != "win32":
        _set_soft(resource.RLIMIT_CPU, resource.RLIM_INFINITY)
        _set_soft(resource.RLIMIT_AS, resource.RLIM_INFINITY)


def memory_bytes() -> int:
    """The address space in use; 0 where that is not known, and not limited."""
    try:
        return int(_MEMORY.read_bytes().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _set_soft(kind: int, value: int) -> None:
    if sys.platform != "win32":
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = hard if value == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, hard))

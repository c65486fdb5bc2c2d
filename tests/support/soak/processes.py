"""Memory, processor time and open files of a process with all that it started (Linux)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
EVERY_S = 0.05  # between two looks at the memory


def tree(root: int) -> list[int]:
    """The ids of a process and its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, queue = list[int](), [root]
    while queue:
        found.append(pid := queue.pop())
        queue += children.get(pid, [])
    return found


def memory_mb(root: int) -> float:
    """Proportional memory of the tree: pages that its processes share count once (PSS)."""
    return sum(_pss_kb(pid) for pid in tree(root)) / 1024


def processor_s(root: int) -> float:
    """Processor time of the tree, with that of children that have ended."""
    ticks = 0
    for pid in tree(root):
        with suppress(OSError):
            ticks += sum(int(field) for field in _stat(pid)[11:15])
    return ticks / TICKS


def open_files(root: int) -> int:
    """How many file descriptors the tree holds."""
    number = 0
    for pid in tree(root):
        with suppress(OSError):
            number += len(os.listdir(PROC / str(pid) / "fd"))
    return number


def connections(port: int) -> int:
    """How many established connections there are to a port of this machine."""
    lines = (PROC / "net" / "tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(f[1].endswith(f":{port:04X}") and f[3] == "01" for f in fields)


@dataclass
class Memory:
    """The memory of a tree while it is watched, in MB."""

    samples: list[tuple[float, float]] = field(default_factory=list)  # (time.monotonic(), MB)

    @property
    def peak_mb(self) -> float:
        return max((mb for _, mb in self.samples), default=0.0)

    def clear(self) -> None:
        self.samples.clear()


@contextmanager
def watching(root: int, every_s: float = EVERY_S) -> Iterator[Memory]:
    """Measure the tree's memory in a thread. What lasts less than `every_s` may be missed."""
    memory, stop = Memory(), threading.Event()

    def look() -> None:
        while not stop.wait(every_s):
            memory.samples.append((time.monotonic(), memory_mb(root)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def _stat(pid: int) -> list[str]:
    """The fields of a process's status after its name: state, parent, …"""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _pss_kb(pid: int) -> int:
    with suppress(OSError):  # it has just ended
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0

"""The command `reaction-search` in a process group of its own, with folders of its own."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.paths import ROOT
from tests.support.soak.processes import watching

COUNTER = re.compile(r"(\d+)(?:/\d+|\w+)? \[")  # of a progress bar: "12/50 [00:01<…", "12file […"
BUILD_OPTIONS = ("--signals", "frames", "--precision", "float32", "--json")


@dataclass
class Home:
    """Where child processes keep what they keep: caches, state, temporary files."""

    folder: Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def environment(self) -> dict[str, str]:
        self.temporary.mkdir(parents=True, exist_ok=True)
        own = {
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(self.state),
            "REACTION_CACHE": str(self.folder / "cache"),
            "REACTION_DATA": str(self.folder / "data"),
            "TMPDIR": str(self.temporary),
        }
        return {**os.environ, **own, **self.more}


@dataclass(frozen=True)
class Done:
    """A command that has ended. `stalled_s` is the longest time in which its bar stood still."""

    status: int
    output: str
    errors: str
    took_s: float
    peak_mb: float
    stalled_s: float

    @property
    def message(self) -> str:
        """The last line of the errors: what failed."""
        return (self.errors.strip().splitlines() or [""])[-1].rpartition("\r")[2]

    @property
    def report(self) -> Any:
        return json.loads(self.output)


class Command:
    """A running command. Its errors go to a terminal, so that it shows its progress bar."""

    def __init__(self, arguments: Sequence[str | Path], home: Home, shell: str = ""):
        """`shell` is run before, in the same process, such as "ulimit -f 8"."""
        line = [sys.executable, "-m", "retrieval.cli", *map(str, arguments)]
        if shell:
            line = ["sh", "-c", f'{shell}; exec "$@"', "sh", *line]
        terminal, its_end = pty.openpty()
        # Of no columns, the bar would be empty.
        fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            line,
            cwd=ROOT,
            env=home.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=its_end,
            start_new_session=True,
        )
        os.close(its_end)
        self._terminal = terminal
        self._errors, self._output = bytearray(), b""
        self._counter, self._moved, self.stalled_s = "", self.started, 0.0
        self._threads = [threading.Thread(target=read) for read in (self._listen, self._collect)]
        for thread in self._threads:
            thread.start()

    def kill(self) -> bool:
        """SIGKILL to the whole group; returns whether it was still running."""
        was_running = self.process.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._end()
        return was_running

    def wait(self, timeout_s: float = 600, max_stall_s: float = float("inf")) -> Done:
        """Wait until it ends; it is killed after `timeout_s` or if its bar stands still."""
        with watching(self.process.pid) as memory:
            while self.process.poll() is None:
                self._look()
                is_late = time.monotonic() - self.started > timeout_s
                if is_late or self.stalled_s > max_stall_s:
                    self.kill()
                time.sleep(0.02)
        took_s = time.monotonic() - self.started
        self._end()
        errors = self._errors.decode(errors="replace")
        status = self.process.returncode
        return Done(status, self._output.decode(), errors, took_s, memory.peak_mb, self.stalled_s)

    def _end(self) -> None:
        self.process.wait()
        for thread in self._threads:
            thread.join(10)

    def _look(self) -> None:
        found = COUNTER.findall(self._errors[-400:].decode(errors="replace"))
        now = time.monotonic()
        if found and found[-1] != self._counter:
            self._counter, self._moved = found[-1], now
        self.stalled_s = max(self.stalled_s, now - self._moved)

    def _listen(self) -> None:
        with suppress(OSError):  # EIO: the other end was closed
            while part := os.read(self._terminal, 65_536):
                self._errors += part
        os.close(self._terminal)

    def _collect(self) -> None:
        assert self.process.stdout
        self._output = self.process.stdout.read()


def build(source: Path, out: Path, home: Home, *options: str, shell: str = "") -> Command:
    """Start a build of frames alone: reading words takes longer than all else together."""
    return Command(("build", source, "--out", out, *BUILD_OPTIONS, *options), home, shell)


def files_of(folder: Path, leave_out: Sequence[str] = ()) -> Mapping[str, str]:
    """Every file below a folder with its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in leave_out
    }


def taken(folder: Path) -> tuple[int, int]:
    """How many files are below a folder, and their bytes."""
    sizes = [path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()]
    return len(sizes), sum(sizes)

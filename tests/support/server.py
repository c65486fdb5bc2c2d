"""A real server of the page on loopback, for the tests and for measuring."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from retrieval.paths import ROOT


@dataclass(frozen=True)
class Server:
    """Where it listens, and its process."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def resident_mb(self, *, peak: bool = False) -> float:
        """Memory that the process holds now, or has held at most (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        name = "VmHWM:" if peak else "VmRSS:"
        (line,) = (line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024

    def processor_s(self) -> float:
        """Processor time that the process has used (Linux)."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(
    timeout_s: float = 60,
    environment: Mapping[str, str] | None = None,
    app: Path = Path("app.py"),
    log: IO[bytes] | None = None,
) -> Iterator[Server]:
    """Start `streamlit run app.py` on a free port, wait until it is healthy, end it after.

    `environment` is added to this process's own; `app` is another app to run; `log`
    takes what it prints.
    """
    port = _free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1", "--server.headless", "true"]
    with _running(command, port, "/_stcore/health", timeout_s, environment, log) as server:
        yield server


@contextmanager
def serving_api(
    environment: Mapping[str, str] | None = None,
    *,
    wait_for: str = "/api/v1/health",
    log: IO[bytes] | None = None,
    timeout_s: float = 60,
) -> Iterator[Server]:
    """The same for `reaction-search serve --api-only`; `log` takes what it prints."""
    port = _free_port()
    command = [sys.executable, "-m", "retrieval.cli", "serve", "--api-only", "--port", str(port)]
    with _running(command, port, wait_for, timeout_s, environment, log) as server:
        yield server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(
    command: list[str],
    port: int,
    path: str,
    timeout_s: float,
    environment: Mapping[str, str] | None,
    log: IO[bytes] | None = None,
) -> Iterator[Server]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    server = Server(port, process)
    try:
        deadline = time.monotonic() + timeout_s
        while not _answers(f"{server.address}{path}"):
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server on port {port} did not start")
            time.sleep(0.02)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

"""A disk that fills, files that may not grow, a disk that is read-only, a clock that jumps back.

The errors name what is wrong, the old bundle serves, and the next run equals an undisturbed one.
The clock is that of Python in the child process, `time.time` and `time.time_ns`, which jump an hour
back some time after its start (`sitecustomize` in a folder of its own). The kernel's stays, so
files have times of the future from then on, as after a real jump.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import RetrievalError
from retrieval.library import Bundle
from retrieval.paths import ROOT
from tests.support.soak.commands import Done, Home, build, files_of, taken
from tests.support.soak.rows import Amount, Row, first_of, skipped
from tests.support.soak.seeds import write_good_files

TIMES, FILES, DISK_MB = 40, 60, 24
CLOCK = """
import os, time
_time, _time_ns, _start = time.time, time.time_ns, time.monotonic()
_back_s = lambda: 3600 if time.monotonic() - _start > float(os.environ["SOAK_JUMP_AFTER_S"]) else 0
time.time = lambda: _time() - _back_s()
time.time_ns = lambda: _time_ns() - _back_s() * 10**9
"""


def soak_disks(amount: Amount, folder: Path) -> list[Row]:
    chance, times = random.Random(amount.seed), amount.count(TIMES, 5)
    home = Home(folder / "home")
    source, whole = folder / "source", folder / "whole" / "b"
    write_good_files(source, FILES)
    if (done := build(source, whole, home, "--copy-media").wait()).status:
        raise RuntimeError(done.message)
    trial = Trial(source, whole, home)
    rows = [trial.file_sizes(folder, times, chance), trial.clock(folder, times, chance)]
    with small_disk(folder / "disk") as disk:
        if disk is None:
            reason = "no disk can be mounted here; run it as root"
            return [*rows, skipped("a full disk", reason), skipped("a read-only disk", reason)]
        return [*rows, trial.full_disk(disk, times, chance), trial.read_only(disk)]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of its own in memory; None where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Trial:
    """Builds of one source under conditions, compared with a bundle that nothing disturbed."""

    def __init__(self, source: Path, whole: Path, home: Home):
        self._source, self._home = source, home
        self._n_gifs, self._expected = len(Bundle.open(whole).records), files_of(whole)

    def full_disk(self, disk: Path, times: int, chance: random.Random) -> Row:
        out, problems, n_failed = disk / "b", list[str](), 0
        self._finish(out)
        needed = taken(out)[1]  # of a rebuild, about
        for _ in range(times):
            free = shutil.disk_usage(disk).free
            (disk / "filler").write_bytes(bytes(free - chance.randrange(0, min(free, needed))))
            done = self._rebuild(out)
            if done.status:
                n_failed += 1
                problems += _unnamed(done, out, "No space left on device")
            problems += self._serves(out) + _left(disk, {"b", ".b.work", "filler"})
            (disk / "filler").unlink()
        problems += self._finish(out)
        return self._row("a disk that is full at a random point", times, n_failed, problems)

    def file_sizes(self, folder: Path, times: int, chance: random.Random) -> Row:
        out, problems, n_failed = folder / "sizes" / "b", list[str](), 0
        self._finish(out)
        largest_kb = max(path.stat().st_size for path in out.rglob("*")) // 512
        for _ in range(times):
            blocks = chance.randrange(1, largest_kb)  # of 512 bytes
            done = self._rebuild(out, f"ulimit -f {blocks}")
            if done.status:
                n_failed += 1
                problems += _unnamed(done, out, "File too large")
            problems += self._serves(out) + _left(out.parent, {"b", ".b.work"})
        problems += self._finish(out)
        return self._row("files that may not grow past a random size", times, n_failed, problems)

    def read_only(self, disk: Path) -> Row:
        out = disk / "b"
        problems = self._finish(out)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = self._rebuild(out)
        problems += _unnamed(done, out, "Read-only file system") + self._serves(out)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        problems += self._finish(out)
        return self._row("a read-only disk", 1, int(done.status != 0), problems)

    def clock(self, folder: Path, times: int, chance: random.Random) -> Row:
        """The clock jumps back while a build runs, and is back when the next one does."""
        patched, out, problems = folder / "clock", folder / "jumped" / "b", list[str]()
        patched.mkdir()
        (patched / "sitecustomize.py").write_text(CLOCK)
        took_s, n_met = 1.0, 0
        for number in range(min(times, 10)):
            after_s = chance.uniform(0, took_s) if number else 0.0  # first: the whole build
            jump = {"PYTHONPATH": f"{patched}:{ROOT}", "SOAK_JUMP_AFTER_S": str(after_s)}
            home = Home(self._home.folder, jump)
            done = build(self._source, out, home, "--copy-media", *["--fresh"][: number % 2]).wait()
            took_s = done.took_s
            n_met += after_s < took_s
            if done.status:
                problems.append(f"exit {done.status}: {done.message}")
            problems += self._equals(out)
        problems += self._finish(out)
        return self._row("a clock that jumps an hour back", min(times, 10), n_met, problems)

    def _rebuild(self, out: Path, shell: str = "") -> Done:
        return build(self._source, out, self._home, "--copy-media", "--fresh", shell=shell).wait()

    def _finish(self, out: Path) -> list[str]:
        """Build without a disturbance; returns how the bundle differs from what is expected."""
        done = build(self._source, out, self._home, "--copy-media").wait()
        if done.status:
            return [f"the next run fails: {done.message}"]
        return self._equals(out) + _left(out.parent, {"b", ".b.work"})

    def _equals(self, out: Path) -> list[str]:
        return [] if files_of(out) == self._expected else ["differs from an undisturbed build"]

    def _serves(self, out: Path) -> list[str]:
        try:
            n_gifs = len(Bundle.open(out).records)
        except RetrievalError as error:
            return [f"the old bundle does not open: {error}"]
        return [] if n_gifs == self._n_gifs else [f"{n_gifs} GIFs, expected {self._n_gifs}"]

    def _row(self, what: str, times: int, n_failed: int, problems: list[str]) -> Row:
        return Row(
            f"{what}, {times} times",
            "a named error, the old bundle serves, the next run equals an undisturbed one",
            f"{first_of(problems)} wrong; {n_failed} builds met it",
            not problems and n_failed > 0,
        )


def _unnamed(done: Done, out: Path, reason: str) -> list[str]:
    """What is wrong with how a build failed: it should be one sentence with place and reason."""
    text = done.message
    is_named = done.status == 1 and text.startswith("Error: ") and reason in text
    return [] if is_named and str(out) in text else [f"exit {done.status}: {text}"]


def _left(folder: Path, expected: set[str]) -> list[str]:
    names = sorted({path.name for path in folder.iterdir()} - expected)
    return [f"left behind: {', '.join(names)}"] if names else []

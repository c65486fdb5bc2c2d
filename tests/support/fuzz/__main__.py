"""python -m tests.support.fuzz [--minutes 10] [TARGET ...]

Fuzz the targets, one after the other in each of two processes, for some minutes together. What
was learnt stays in artifacts/fuzz/TARGET for the next run. Findings are named; exit code 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from retrieval.paths import ROOT
from tests.support.fuzz.seeds import seeds
from tests.support.fuzz.targets import TARGETS

FOLDER = ROOT / "artifacts" / "fuzz"
AT_ONCE = 2
TIMEOUT_S, MEMORY_MB = 20, 2_000  # of one input; more is a finding
MAX_BYTES = 20_000


@dataclass(frozen=True)
class Outcome:
    """What fuzzing of a target came to."""

    target: str
    seconds: float
    n_inputs: int
    n_branches: int  # places in the code that were reached
    findings: Sequence[Path]


def fuzz(target: str, seconds: int) -> Outcome:
    corpus, found = FOLDER / target, FOLDER / f"{target}-findings"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    before = {*found.iterdir()}
    command = [
        sys.executable, "-m", "tests.support.fuzz.one", target, str(corpus),
        f"-max_total_time={seconds}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={MAX_BYTES}", f"-artifact_prefix={found}/", "-print_final_stats=1",
    ]  # fmt: skip
    log = FOLDER / f"{target}.log"
    with log.open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, check=False)
    text = log.read_text(encoding="utf-8", errors="replace")
    findings = sorted({*found.iterdir()} - before)
    if done.returncode and not findings:
        findings = [log]  # it did not even start, or died without an artifact
    return Outcome(
        target,
        seconds,
        _last_number(text, r"stat::number_of_executed_units:\s*(\d+)"),
        _last_number(text, r"cov: (\d+)"),
        findings,
    )


def _last_number(text: str, pattern: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.fuzz")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--minutes", type=float, default=10.0, help="of all targets together")
    given = parser.parse_args()
    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"no target {sorted(unknown)[0]!r}; expected some of {', '.join(TARGETS)}")
    targets = given.targets or list(TARGETS)
    seconds = max(1, round(given.minutes * 60 * min(AT_ONCE, len(targets)) / len(targets)))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(partial(fuzz, seconds=seconds), targets))
    print("| target | seconds | inputs | branches | findings |\n|---|---:|---:|---:|---|")
    for each in outcomes:
        findings = ", ".join(str(file.relative_to(ROOT)) for file in each.findings) or "none"
        row = (each.target, each.seconds, f"{each.n_inputs:,}", f"{each.n_branches:,}", findings)
        print("| " + " | ".join(map(str, row)) + " |")
    if any(each.findings for each in outcomes):
        print("Keep a finding as a test: copy it into tests/support/fuzz/regressions/TARGET/.")
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Readers of strangers' bytes: good inputs, inputs that were findings once, and damaged ones.

`make fuzz` looks for more, guided by coverage.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import fuzz
from tests.support.fuzz.seeds import seeds
from tests.support.fuzz.targets import TARGETS

REGRESSIONS = Path(fuzz.__file__).parent / "regressions"
N_DAMAGED = {"queries": 20, "api": 40}
of_all_targets = pytest.mark.parametrize("target", TARGETS)


@of_all_targets
def test_good_inputs_and_former_findings_are_read_or_refused(target: str):
    inputs = [*seeds(target), b""]
    inputs += [file.read_bytes() for file in sorted((REGRESSIONS / target).glob("*"))]
    for data in inputs:
        TARGETS[target](data)


@of_all_targets
def test_damaged_inputs_are_read_or_refused(target: str):
    known = cache(seeds)
    number, place = st.integers(0, 99), st.integers(0, 2**16)
    damage = st.lists(st.tuples(place, st.binary(max_size=4), st.integers(0, 8)), max_size=6)

    @settings(
        max_examples=N_DAMAGED.get(target, 150),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(number, damage, place)
    def read(number: int, damage: list[tuple[int, bytes, int]], end: int) -> None:
        inputs = known(target)
        data = inputs[number % len(inputs)]
        for at, given_bytes, n_removed in damage:
            at %= len(data) + 1
            data = data[:at] + given_bytes + data[at + n_removed :]
        TARGETS[target](data[:end] if end % 3 == 0 else data)

    read()


@pytest.mark.skipif(sys.platform != "linux", reason="atheris has wheels for Linux")
def test_finding_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """By the runner; the fuzzer itself is not among the packages of the tests."""
    from tests.support.fuzz import __main__ as runner

    def run(command: list[str], **_: object) -> object:
        prefix = next(o for o in command if o.startswith("-artifact_prefix=")).partition("=")[2]
        (Path(prefix) / "crash-1").write_bytes(b"x")
        return type("Done", (), {"returncode": 77})

    monkeypatch.setattr(runner, "FOLDER", tmp_path)
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setattr(runner.subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["fuzz", "lists"])
    with pytest.raises(SystemExit) as ended:
        runner.main()
    assert ended.value.code == 1 and "lists-findings/crash-1" in capsys.readouterr().out

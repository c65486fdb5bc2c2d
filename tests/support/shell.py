"""Scripts and verbs run in this process, as a shell would run them.

A process of its own imports again what this one holds: torch alone takes seconds. Each kind of
command is also run once as a process.
"""

from __future__ import annotations

import io
import os
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from retrieval import cli
from retrieval.paths import ROOT


def run_script(name: str, *args: object) -> subprocess.CompletedProcess[str]:
    """Run scripts/NAME.py in the project's folder; its status and what it printed."""
    return _run([str(ROOT / "scripts" / f"{name}.py"), *map(str, args)])


def run_verb(*args: object) -> subprocess.CompletedProcess[str]:
    """Run `reaction-search` with these arguments; its status and what it printed."""
    return _run(["reaction-search", *map(str, args)])


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    out, err, status, before = io.StringIO(), io.StringIO(), 0, Path.cwd()
    os.chdir(ROOT)
    try:
        with patch.object(sys, "argv", command), redirect_stdout(out), redirect_stderr(err):
            if command[0].endswith(".py"):
                runpy.run_path(command[0], run_name="__main__")
            else:
                cli.main()
    except SystemExit as end:
        if isinstance(end.code, str):  # as Python does: a text goes to standard error
            err.write(f"{end.code}\n")
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        os.chdir(before)
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())

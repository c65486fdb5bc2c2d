"""Run the long tests and print a table: promise, asked, reached, held. Linux only.

mutants  20,000 damaged media files of all formats through a build
bombs    the worst legal files, and headers that promise too much, through build and upload; while
         four sessions send them, another's searches; clients that leave; SIGTERM
kills    SIGKILL at random moments of builds, of rebuilds and of publishing
disks    a disk that fills, files that may not grow, a read-only disk, a clock that jumps back
people   50 visitors of the page and 200 clients of the API for ten minutes each

The exit code is 1 if a promise is broken. `--scale 0.01` tries each part in about a minute.

python -m tests.support.soak
python -m tests.support.soak kills disks --scale 0.1
python -m tests.support.soak people --minutes 2
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.support.soak.rows import Amount, Row, table

PARTS = ("mutants", "bombs", "kills", "disks", "people")


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m tests.support.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--scale", type=float, default=1.0, help="of all counts and times")
    parser.add_argument("--minutes", type=float, help="of each crowd; 10 × scale by default")
    parser.add_argument("--seed", type=int, default=0, help="of what is chosen by chance")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave all files here")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no part {sorted(unknown)[0]!r}; expected {', '.join(PARTS)}")
    amount = Amount(args.scale, args.minutes, args.seed)
    rows = [row for part in args.parts or PARTS for row in _run(part, amount, args.keep)]
    print(f"\n{os.cpu_count()} cores, scale {amount.scale:g}\n\n{table(rows)}")
    sys.exit(any(row.ok is False for row in rows))


def _run(part: str, amount: Amount, keep: Path | None) -> list[Row]:
    print(f"{part} …", end=" ", flush=True, file=sys.stderr)
    soak = getattr(importlib.import_module(f"tests.support.soak.{part}"), f"soak_{part}")
    start = time.monotonic()
    try:
        if keep:
            (folder := keep / part).mkdir(parents=True)
            rows: list[Row] = soak(amount, folder)
        else:
            with tempfile.TemporaryDirectory() as temporary:
                rows = soak(amount, Path(temporary))
    except Exception as error:  # the other parts are still run, and their rows printed
        traceback.print_exc()
        rows = [Row(f"{part} runs to its end", "yes", f"{type(error).__name__}: {error}", False)]
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    print(table(rows), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    main()

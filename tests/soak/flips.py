"""Flip every byte of a small bundle of each index kind, one at a time; then fuzz the parsers.

Prints, for each kind, how many changes gave a named error, the answers of before, other answers, an
error without a name, a hang or a crash. The first part must give the first two alone. In the second
part the manifest's hashes are made to fit the changed files, as in a bundle of somebody who means
harm: what the parsers see is then arbitrary, and other answers are all that it may lead to.

python -m tests.soak.flips
python -m tests.soak.flips --step 50 --fuzz 500
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.support.flips import (
    VARIANTS,
    Outcomes,
    every_change,
    random_changes,
    try_changes,
    write_small_bundle,
)

WHOLE_BYTES = 65_536  # of larger files, each byte of STEP is flipped
BAD = ("unnamed error", "hang", "crash")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="flip each Nth byte only")
    parser.add_argument("--large-step", type=int, default=257, help="of files over 64 kB")
    parser.add_argument("--fuzz", type=int, default=4_000, help="changes with fitting hashes")
    parser.add_argument("--kinds", nargs="*", default=VARIANTS, choices=VARIANTS)
    args = parser.parse_args()
    whole = WHOLE_BYTES if args.step == 1 else 0
    step = args.large_step if args.step == 1 else args.step
    is_bad = False
    with tempfile.TemporaryDirectory() as folder:
        for variant in args.kinds:
            bundle = write_small_bundle(Path(folder) / variant, variant)
            start = time.perf_counter()
            flips = try_changes(bundle, every_change(bundle, whole, step))
            _print(f"{variant}, flipped", flips, time.perf_counter() - start)
            start = time.perf_counter()
            fuzz = try_changes(bundle, random_changes(bundle, args.fuzz), accept=True)
            _print(f"{variant}, hashes fit", fuzz, time.perf_counter() - start)
            is_bad |= any(flips.counts[name] for name in (*BAD, "other answers"))
            is_bad |= any(fuzz.counts[name] for name in BAD)
    sys.exit(is_bad)


def _print(what: str, outcomes: Outcomes, took_s: float) -> None:
    print(f"{what:<24} {outcomes} ({took_s:.0f} s)", flush=True)
    for name, example in outcomes.examples.items():
        if name.startswith((*BAD, "other")):
            print(f"    {name}: {example}", flush=True)


if __name__ == "__main__":
    main()

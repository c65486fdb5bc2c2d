"""Exchange a bundle again and again under a running API server while clients search and fetch.

Every answer must be of one of the two bundles alone, every file at an id's address must have that
hash or be gone (404), and no search may fail.

python -m tests.soak.swaps
python -m tests.soak.swaps --swaps 1000 --clients 8
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.support.swaps import swap_under_load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two swaps")
    parser.add_argument("--clients", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen, n_more_open = swap_under_load(Path(folder), args.swaps, args.every, args.clients)
    median, tail = 1000 * np.percentile(seen.took_s, [50, 95])
    print(f"{args.swaps} swaps, {args.clients} clients: {len(seen.wrong)} wrong")
    print(", ".join(f"{name}: {n:,}" for name, n in sorted(seen.counts.items())))
    print(f"searches: median {median:.0f} ms, p95 {tail:.0f} ms; {n_more_open} more open files")
    for line in seen.wrong[:20]:
        print(f"  {line}")
    sys.exit(bool(seen.wrong))


if __name__ == "__main__":
    main()

"""Damaged files of all formats through a build, beside good ones that must not notice."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from retrieval.library import Bundle
from tests.support.soak.commands import Done, Home, build
from tests.support.soak.mutations import mutants
from tests.support.soak.rows import Amount, Row, first_of
from tests.support.soak.seeds import seeds, write_good_files

MUTANTS, GOOD_FILES, SEEDS = 20_000, 50, 5
HANG_S = 60
MORE_MB = 500  # than the build of the good files alone


def soak_mutants(amount: Amount, folder: Path) -> list[Row]:
    home = Home(folder / "home")
    n_mutants = amount.count(MUTANTS, 100)
    good, mixed = folder / "good", folder / "mixed"
    write_good_files(good, GOOD_FILES)
    shutil.copytree(good, mixed)  # encoders need not make the same bytes twice
    files = [file for number in range(SEEDS) for file in seeds(number)]
    for number, (suffix, data) in enumerate(mutants(files, n_mutants, amount.seed)):
        (mixed / f"mutant-{number:05}{suffix}").write_bytes(data)
    alone = build(good, folder / "alone", home).wait()
    if alone.status:
        raise RuntimeError(f"the good files cannot be built: {alone.message}")
    done = build(mixed, folder / "all", home).wait(6 * 3600, HANG_S)
    what = f"{n_mutants:,} damaged files of {len(files) // SEEDS} kinds through a build"
    return [*_ended(what, done, alone), *_compared(folder, mixed, done)]


def _ended(what: str, done: Done, alone: Done) -> list[Row]:
    ended = f"exit {done.status} after {done.took_s:,.0f} s"
    if done.status:
        ended += f": {done.message}"
    more_mb = done.peak_mb - alone.peak_mb
    return [
        Row(what, "exit 0", ended, done.status == 0),
        Row(
            "the longest time without progress",
            f"< {HANG_S} s",
            f"{done.stalled_s:.1f} s",
            done.stalled_s < HANG_S,
        ),
        Row(
            "memory of the process tree, beyond a build of the good files alone",
            f"< {MORE_MB} MB",
            f"{more_mb:+.0f} MB (peak {done.peak_mb:.0f} MB)",
            more_mb < MORE_MB,
        ),
    ]


def _compared(folder: Path, mixed: Path, done: Done) -> list[Row]:
    if done.status:
        return []
    bundle, alone = Bundle.open(folder / "all"), Bundle.open(folder / "alone")
    skipped = {each["path"]: each["reason"] for each in done.report["skipped"]}
    indexed = {Path(place).name for record in bundle.records for place in record.places}
    names = {path.name for path in mixed.iterdir()}
    lost = sorted(names - indexed - skipped.keys())
    lost += sorted(name for name, reason in skipped.items() if not reason.strip())
    ours, theirs = _vectors(bundle), _vectors(alone)
    changed = [gif for gif, rows in theirs.items() if not _equal(rows, ours.get(gif))]
    apart = max((_apart(rows, ours.get(gif)) for gif, rows in theirs.items()), default=0.0)
    return [
        Row(
            "every file is indexed, or listed with a reason",
            f"{len(names):,}",
            f"{len(indexed):,} indexed, {len(skipped):,} listed, lost: {first_of(lost)}",
            not lost and not indexed & skipped.keys(),
        ),
        Row(
            "embeddings of the good files, with and without the damaged ones",
            "identical",
            f"{len(theirs) - len(changed)} of {len(theirs)}; largest difference {apart:.1g}",
            not changed,
        ),
    ]


def _vectors(bundle: Bundle) -> dict[str, np.ndarray]:
    starts = [*bundle.embeddings.starts().tolist(), len(bundle.embeddings.vectors)]
    return {
        record.id: bundle.embeddings.vectors[starts[row] : starts[row + 1]]
        for row, record in enumerate(bundle.records)
    }


def _equal(rows: np.ndarray, others: np.ndarray | None) -> bool:
    return others is not None and rows.tobytes() == others.tobytes()


def _apart(rows: np.ndarray, others: np.ndarray | None) -> float:
    """The largest difference of a component; infinite if there are other rows."""
    if others is None or rows.shape != others.shape:
        return float("inf")
    return float(np.abs(rows - others).max(initial=0))

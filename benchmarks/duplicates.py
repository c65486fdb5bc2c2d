"""Precision and recall of the near-duplicates that a build finds, over pairs of files.

Every GIF of the library is edited in each of `_edits.EDITS`, and all files are decoded and
embedded as a build does. For each edit the originals and that edit's copies are one library
(so every GIF is in it twice), in an order drawn once. A pair of files is right if both are
of one original. Precision is the share of right pairs among those that are grouped, recall
the share of grouped pairs among the right ones; two originals that look alike (a woman and
a man who wave) are wrong. Pairs are halved by a hash of the names of their originals: the
threshold is chosen on one half (dev), all that is reported is of the other (test).
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.edits import EDITS, make_copies
from retrieval.cli.console import progress_bar
from retrieval.embedding import Pipeline, Work
from retrieval.encoders import Encoder
from retrieval.library import SAME_ANIMATION, group

ORIGINAL = "original"
OLD_RULE = 0.975  # cosine of the GIFs' means, as search folded before
LEAST_PRECISION = 0.98
THRESHOLDS = np.arange(0.88, 0.99, 0.005).round(3)


@dataclass(frozen=True)
class Files:
    """Originals and copies, in the order that they are grouped in; aligned arrays."""

    names: np.ndarray  # (n,) str: the original's name, shared by its copies
    edits: np.ndarray  # (n,) str: ORIGINAL or one of EDITS
    frames: tuple[np.ndarray, ...]  # (n_frames, dim) each

    def part(self, keep: np.ndarray) -> Files:
        """The files with these positions."""
        return Files(self.names[keep], self.edits[keep], tuple(self.frames[i] for i in keep))


Grouping = Callable[[Files], np.ndarray]  # the leader of each file, int (n,)


def measure_duplicates(media: Path, encoder: Encoder, most: int | None = None) -> None:
    """Print the figures for the GIFs in a folder (`most`: only so many of them)."""
    files = _make_files(sorted(media.glob("*.gif"))[:most], encoder)
    n = len(set(files.names))
    print(f"{n} GIFs, {len(files.names)} files, {encoder.label}")
    chosen = SAME_ANIMATION
    print("threshold  dev precision  recall")
    for same in THRESHOLDS[::-1]:
        precision, recall = _pooled(files, _grouping(same), dev=True)
        print(f"  {same:.3f}  {precision:13.3f}  {recall:6.3f}")
        if precision < LEAST_PRECISION:
            break
        chosen = float(same)
    print(
        f"lowest with a precision of {LEAST_PRECISION} on dev: {chosen}; shipped {SAME_ANIMATION}"
    )
    rules = {
        f"frames, {SAME_ANIMATION}": _grouping(SAME_ANIMATION),
        f"means, {OLD_RULE}": _old_rule,
    }
    for name, grouping in rules.items():
        print(f"\n{name} (test half)\n{'edit':10s} precision  recall")
        for edit in EDITS:
            right, found, wanted = _counts(_twice(files, edit), grouping, dev=False)
            print(f"{edit:10s} {right / max(found, 1):9.3f}  {right / wanted:6.3f}")
        precision, recall = _pooled(files, grouping, dev=False)
        print(f"{'together':10s} {precision:9.3f}  {recall:6.3f}")
        right, found, wanted = _counts(files, grouping, dev=False)
        print(f"all {len(EDITS)} copies in one library: {right / max(found, 1):.3f}", end="  ")
        print(f"{right / wanted:.3f}")
        originals = files.part(np.flatnonzero(files.edits == ORIGINAL))
        leaders = grouping(originals)
        wrong = np.flatnonzero(leaders != np.arange(len(leaders)))
        print(f"originals alone, each wrong: {len(wrong)}")
        for i in wrong:
            print(f"  {originals.names[i]} | {originals.names[leaders[i]]}")
        _print_missed(files, grouping)


def _make_files(paths: list[Path], encoder: Encoder) -> Files:
    about: dict[str, tuple[str, str]] = {}
    items = []
    with tempfile.TemporaryDirectory() as folder:
        with progress_bar("edit", "GIF") as show:
            for done, path in enumerate(paths, 1):
                for edit, file in [(ORIGINAL, path), *make_copies(path, Path(folder))]:
                    about[file.name] = (path.stem, edit)
                    items.append(Work(file.name, file.read_bytes))
                show(done, len(paths))
        with progress_bar("embed", "file") as show:
            kept, frames = [], []
            for number, came in enumerate(Pipeline(encoder).run(items), 1):
                if came.frames:
                    kept.append(about[came.subject])
                    frames.append(came.frames.vectors)
                else:  # the same bytes as another: no pair to be found
                    print(f"left out: {came.subject}: {came.error or 'the same bytes again'}")
                show(number, len(items))
    names, edits = np.array(kept).T
    order = np.random.default_rng(0).permutation(len(kept))
    return Files(names, edits, tuple(frames)).part(order)


def _grouping(same: float) -> Grouping:
    def leaders(files: Files) -> np.ndarray:
        lengths = [len(frames) for frames in files.frames]
        starts = np.cumsum([0, *lengths[:-1]])
        return group(np.concatenate(files.frames), starts, same=same)

    return leaders


def _old_rule(files: Files) -> np.ndarray:
    """Each file not yet taken takes all later ones whose mean is near enough."""
    means = np.stack([frames.sum(axis=0) for frames in files.frames])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    leader: np.ndarray = np.full(len(means), -1)
    for i in range(len(means)):
        if leader[i] < 0:
            leader[(means @ means[i] >= OLD_RULE) & (leader < 0)] = i
            leader[i] = i
    return leader


def _twice(files: Files, edit: str) -> Files:
    return files.part(np.flatnonzero((files.edits == ORIGINAL) | (files.edits == edit)))


def _pooled(files: Files, grouping: Grouping, *, dev: bool) -> tuple[float, float]:
    """(precision, recall) over the libraries of all edits."""
    counts = np.array([_counts(_twice(files, edit), grouping, dev=dev) for edit in EDITS])
    right, found, wanted = counts.sum(axis=0)
    return right / max(found, 1), right / wanted


def _counts(files: Files, grouping: Grouping, *, dev: bool) -> tuple[int, int, int]:
    """Pairs in one half: (grouped and right, grouped, right)."""
    leaders = grouping(files)
    i, j = np.triu_indices(len(leaders), 1)
    grouped, right = leaders[i] == leaders[j], files.names[i] == files.names[j]
    of_note = np.flatnonzero(grouped | right)
    half = np.array([_is_dev(files.names[i[k]], files.names[j[k]]) == dev for k in of_note])
    of_note = of_note[half]
    grouped, right = grouped[of_note], right[of_note]
    return int((grouped & right).sum()), int(grouped.sum()), int(right.sum())


def _is_dev(a: str, b: str) -> bool:
    return zlib.crc32(" ".join(sorted((a, b))).encode()) % 2 == 0


def _print_missed(files: Files, grouping: Grouping, most: int = 10) -> None:
    """The originals whose copies are missed most often, as far as the test half goes."""
    missed: dict[str, list[str]] = {}
    for edit in EDITS:
        part = _twice(files, edit)
        leaders = grouping(part)
        for name in np.unique(part.names):
            if not _is_dev(name, name) and len(set(leaders[part.names == name])) > 1:
                missed.setdefault(name, []).append(edit)
    worst = sorted(missed, key=lambda name: -len(missed[name]))[:most]
    print("missed most:", "; ".join(f"{name} ({', '.join(missed[name])})" for name in worst))

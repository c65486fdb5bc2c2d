"""Measure every kind of index on synthetic libraries as large as one likes.

No library of a million GIFs can be shipped, so one is drawn: `SyntheticLibrary` makes
frames and texts at random with the structure that the embeddings of the starter library
have (checkpoint mini, 267 GIFs, 2,113 frames, 258 test messages). A GIF belongs to a theme
more or less, its frames scatter about it, a few widely; a text has the direction that
texts have in common (the modality gap), one that those of its theme share, and some of the
GIF that it describes. Numbers were chosen so that a draw of the same size matches what was
measured, and errs to the harder side where it does not:

    statistic (percentiles are 5, 25, 50, 75, 95)     starter           drawn, dim 512
    cosine, frames of one GIF                         .53 .88 .95 .98 1  .50 .84 .95 .99 .99
    cosine, frames of two GIFs                        -.17 -.06 .02 .11 .27  -.17 -.06 .03 .11 .25
    cosine, a frame and the nearest of another GIF    .40 .49 .62 .74 .94  .33 .39 .47 .63 .81
    share of the variance within GIFs                 0.10              0.11
    frames: participation ratio; components for 90 %  44; 51            47; 71
    frames: intrinsic dimension of GIFs (TwoNN)       7                 15
    texts: length of the mean                         .65               .67
    cosine, text and its best frame                   .38 .42 .45 .48 .53  .35 .38 .41 .44 .49
    cosine, best frame less tenth best                .02 .03 .04 .05 .08  .02 .03 .04 .06 .10
    best frame, standard deviations above the mean    2.4 2.7 2.9 3.2 3.8  2.4 2.7 2.9 3.2 3.6
    texts: recall@10 in 1, 2, 4, 8 of 16 lists        .40 .60 .81 .95   .45 .63 .81 .95
    held-out frames: the same                         .59 .76 .87 .95   .62 .74 .86 .96

The last two decide how much an inverted file finds, and show why texts are measured apart:
they point less clearly to one cluster. What a draw cannot tell: how themes grow with a
library (here with the square root of the GIFs), and what other checkpoints do.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from retrieval.errors import RetrievalError
from retrieval.library import KINDS, VectorIndex, map_vectors, plan_index

FRAMES_PER_GIF = 8
GIFS_AT_ONCE = 2_500
QUERIES = 500  # of each sort: held-out frames, texts
EXACT_QUERIES = 50  # comparing a million vectors takes a fifth of a second
TOP_K = 10

# One thread for all that computes; set before the libraries start in a process of its own.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
T = TypeVar("T")


class SyntheticLibrary:
    """Frames and texts, unit float32 (n, dim), drawn as the module's docstring says."""

    def __init__(self, n_gifs: int, dim: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.n_gifs, self.dim = n_gifs, dim
        component = np.arange(1, dim + 1)
        # Standard deviation by principal component; texts' fall off later.
        self._spread = _unit(1 / np.sqrt(1 + (component / 27) ** 2.2)).astype(np.float32)
        self._text_spread = _unit(1 / np.sqrt(1 + (component / 50) ** 2.2)).astype(np.float32)
        self._axes = np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32)
        common = _unit(rng.standard_normal(dim) * self._spread)
        gap = rng.standard_normal(dim) * self._text_spread
        gap = _unit(gap - (gap @ common) * common)
        self._mean = (0.17 * common).astype(np.float32)
        # The mean text lies at cosine 0.85 to the mean frame.
        self._text_mean = (0.62 * (0.85 * common + np.sqrt(1 - 0.85**2) * gap)).astype(np.float32)
        n_themes = max(1, round(28 * (n_gifs / 267) ** 0.5))
        self._themes = _normal(rng, n_themes, dim) * self._spread
        self._theme_texts = _normal(rng, n_themes, dim) * self._text_spread
        weights = 1 / (np.arange(n_themes) + 5)  # a few themes are large
        self._theme_shares = weights / weights.sum()

    def frames(self, n_gifs: int, rng: np.random.Generator) -> np.ndarray:
        """FRAMES_PER_GIF frames of each of n_gifs new GIFs, a GIF's one after another."""
        gifs, _ = self._gifs(n_gifs, rng)
        scatter = (0.22 * np.exp(rng.standard_normal((n_gifs, 1, 1)))).astype(np.float32)
        noise = _normal(rng, n_gifs, FRAMES_PER_GIF, self.dim) * self._spread
        vectors = gifs[:, None] + scatter * noise + self._mean
        return _unit(vectors.reshape(-1, self.dim) @ self._axes)

    def texts(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Texts that describe new GIFs of the library's themes."""
        gifs, themes = self._gifs(n, rng)
        own = _normal(rng, n, self.dim) * self._text_spread
        wording = np.sqrt(0.7) * self._theme_texts[themes] + np.sqrt(0.3) * own
        vectors = self._text_mean + 0.36 * gifs + 0.6 * wording
        return _unit(vectors.astype(np.float32) @ self._axes)

    def chunks(self) -> Iterator[np.ndarray]:
        """The whole library's frames; the same ones every time."""
        for start in range(0, self.n_gifs, GIFS_AT_ONCE):
            n = min(GIFS_AT_ONCE, self.n_gifs - start)
            yield self.frames(n, np.random.default_rng([1, start]))

    def _gifs(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        share = rng.beta(0.6, 1.2, size=(n, 1)).astype(np.float32)  # of the theme in a GIF
        themes = rng.choice(len(self._themes), n, p=self._theme_shares)
        own = _normal(rng, n, self.dim) * self._spread
        return np.sqrt(share) * self._themes[themes] + np.sqrt(1 - share) * own, themes


def measure_sizes(sizes: list[int], dim: int, kinds: Sequence[str] = KINDS) -> None:
    """Print a row for each size and kind."""
    print(f"recall@{TOP_K} and times of single queries on one thread; {QUERIES} held-out frames")
    print(f"and {QUERIES} texts. Approximate kinds re-rank from a memory-mapped float16 file.")
    print(
        f"{'vectors':>10} {'kind':<10} {'build s':>8} {'B/vector':>8} {'memory MB':>9} "
        f"{'mapped MB':>9} {'frames':>7} {'texts':>7} {'p50 ms':>7} {'p99 ms':>7} {'queries/s':>9}"
    )
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            n = max(1, size // FRAMES_PER_GIF) * FRAMES_PER_GIF
            check_room(folder, 6 * n * dim)  # float16, and for a while flat in float32
            alone(_make_library, folder, n, dim)
            for kind in kinds:
                build_s = alone(_build, folder, n, dim, kind)
                row = alone(_search, folder, n, dim, kind)
                print(
                    f"{n:>10,} {kind:<10} {build_s:>8.1f} {row['bytes']:>8.0f} "
                    f"{row['memory_mb']:>9.0f} {row['mapped_mb']:>9.0f} "
                    f"{row['frames']:>7.3f} {row['texts']:>7.3f} {row['p50_ms']:>7.2f} "
                    f"{row['p99_ms']:>7.2f} {row['queries_per_s']:>9.0f}",
                    flush=True,
                )


def check_room(folder: Path, needed: int) -> None:
    """Raise RetrievalError unless so many bytes are free where the folder is."""
    free = shutil.disk_usage(folder).free
    if needed > 0.9 * free:
        raise RetrievalError(
            f"This needs {needed / 1e9:.0f} GB in {folder.parent}, which has {free / 1e9:.0f} GB "
            f"free. Measure fewer (--sizes, --gifs), or set TMPDIR to a larger disk."
        )


def alone(work: Callable[..., T], *args: Any) -> T:
    """Run in a new process with one thread, so that memory and time are its own."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(work, *args).result()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _make_library(folder: Path, n: int, dim: int) -> None:
    """Write vectors.f16, and queries.npz: queries, and the rows that exact search finds."""
    library = SyntheticLibrary(n // FRAMES_PER_GIF, dim)
    held_out = library.frames(QUERIES, np.random.default_rng(2))[::FRAMES_PER_GIF]
    queries = np.vstack([held_out, library.texts(QUERIES, np.random.default_rng(3))])
    scores: np.ndarray = np.empty((len(queries), 0), np.float32)
    rows: np.ndarray = np.empty((len(queries), 0), np.int64)
    start = 0
    with (folder / "vectors.f16").open("wb") as file:
        for chunk in library.chunks():
            stored = chunk.astype(np.float16)
            stored.tofile(file)
            scores = np.hstack([scores, queries @ stored.astype(np.float32).T])
            new = np.broadcast_to(
                np.arange(start, start + len(stored)), (len(queries), len(stored))
            )
            rows = np.hstack([rows, new])
            best = np.argpartition(-scores, min(TOP_K, scores.shape[1]) - 1, axis=1)[:, :TOP_K]
            scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
            start += len(stored)
    np.savez(folder / "queries.npz", queries=queries, rows=rows)


def _build(folder: Path, n: int, dim: int, kind: str) -> float:
    """Seconds to train, add and save."""
    vectors = map_vectors(folder / "vectors.f16", dim)
    start = time.perf_counter()
    VectorIndex.build(vectors, plan_index(n, dim, kind)).save(folder / "vectors.faiss")
    return time.perf_counter() - start


def _search(folder: Path, n: int, dim: int, kind: str) -> dict[str, float]:
    stored = np.load(folder / "queries.npz")
    queries, rows = stored["queries"], stored["rows"]
    step = QUERIES // EXACT_QUERIES if kind == "flat" else 1
    queries, rows = queries[::step], rows[::step]
    before = resident_mb()
    vectors = map_vectors(folder / "vectors.f16", dim)
    plan = plan_index(n, dim, kind)
    index = VectorIndex.load(folder / "vectors.faiss", vectors, plan.parameters)
    for query in queries[::20]:  # warm up
        index.search(query, TOP_K)
    ms, recalls = [], []
    for query, expected in zip(queries, rows, strict=True):
        start = time.perf_counter()
        _, found = index.search(query, TOP_K)
        ms.append(1000 * (time.perf_counter() - start))
        recalls.append(len(set(found) & set(expected)) / len(expected))
    after = resident_mb()
    half = len(queries) // 2
    return {
        "bytes": (folder / "vectors.faiss").stat().st_size / n,
        "memory_mb": after["RssAnon"] - before["RssAnon"],
        "mapped_mb": after["RssFile"] - before["RssFile"],
        "frames": float(np.mean(recalls[:half])),
        "texts": float(np.mean(recalls[half:])),
        "p50_ms": float(np.percentile(ms, 50)),
        "p99_ms": float(np.percentile(ms, 99)),
        "queries_per_s": 1000 / float(np.mean(ms)),
    }


def resident_mb() -> dict[str, float]:
    """Memory of this process in MB: its own (RssAnon), and pages of files (RssFile)."""
    status = Path("/proc/self/status")
    if not status.exists():  # not Linux
        return {"RssAnon": float("nan"), "RssFile": float("nan")}
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return {name: int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")}


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

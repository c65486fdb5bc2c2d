"""Measure Searcher.search as the page calls it, on a synthetic bundle as large as one likes.

The bundle is written by BundleWriter and opened by Bundle.open, like any other; its GIFs
are those of `benchmarks.index.SyntheticLibrary`. Every tenth GIF is a near-duplicate of
the one before it; 1 % of the GIFs have the tag "rare", half of them the tag "even".
Queries are held-out frames and texts, one at a time, on one thread. Recall is that of
GIFs, against exact scores of float32 means under the same filter and folding.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.index import FRAMES_PER_GIF, SyntheticLibrary, alone, check_room, resident_mb
from retrieval.library import DEFAULT_POOLING, Bundle, BundleWriter, GifFrames, Manifest, Record
from retrieval.search import Filter, Searcher

QUERIES = 250  # of each sort: held-out frames, texts
TOP_K = 10  # of recall
PAGE_TOP_K = 12  # what the page asks for
WARM_UP = 50

PAGE_FILTER = Filter(min_score=-1.0)
FILTERS = {
    "page": PAGE_FILTER,
    "50 % of GIFs": Filter(tags=frozenset({"even"}), min_score=-1.0),
    "1 % of GIFs": Filter(tags=frozenset({"rare"}), min_score=-1.0),
}


@dataclass(frozen=True)
class SyntheticEncoder:
    """Stands in for the encoder: queries come as vectors."""

    dim: int
    name = label = "synthetic"
    fingerprint = "0" * 64


def measure_search(n_gifs: int, dim: int, kind: str = "auto") -> None:
    """Print recall and times for each filter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # float32 shards, float16 frames and means, and exact means for the ground truth
        check_room(folder, n_gifs * (6 * FRAMES_PER_GIF + 6) * dim)
        write_s = alone(_write, folder, n_gifs, dim, kind)
        alone(_search, folder, n_gifs, dim, write_s)


def _write(folder: Path, n_gifs: int, dim: int, kind: str) -> float:
    """Write the bundle, and exact.f32: the GIF means; seconds to write the bundle."""
    library = SyntheticLibrary(n_gifs, dim)
    drawing_s = 0.0

    def gifs() -> Iterator[GifFrames]:
        nonlocal drawing_s
        rng = np.random.default_rng(4)
        number = 0
        row = np.arange(FRAMES_PER_GIF, dtype=np.int32)
        chunks = library.chunks()
        with (folder / "exact.f32").open("wb") as exact:
            while True:
                start = time.perf_counter()
                chunk = next(chunks, None)
                if chunk is None:
                    return
                frames = chunk.reshape(-1, FRAMES_PER_GIF, dim)
                noise = rng.standard_normal(frames[9::10].shape, dtype=np.float32)
                frames[9::10] = _unit(frames[8::10] + 0.1 * dim**-0.5 * noise)
                exact.write(_unit(frames.sum(axis=1)).data)
                drawing_s += time.perf_counter() - start
                for block in frames:
                    yield GifFrames(f"{number:064x}", row, 100 * row, block)
                    number += 1

    begin = time.perf_counter()
    with BundleWriter(folder / "bundle", dim) as writer:
        writer.write_embeddings(gifs())
        writer.write_index(kind)
        writer.write_catalog(_records(n_gifs))
        writer.finish(Manifest("synthetic", None, "0" * 64, FRAMES_PER_GIF, DEFAULT_POOLING))
    return time.perf_counter() - begin - drawing_s


def _records(n_gifs: int) -> list[Record]:
    rare = np.random.default_rng(5).random(n_gifs) < 0.01
    return [
        Record(
            f"{i:064x}",
            f"media/{i}.gif",
            str(i),
            tags=("rare",) * int(rare[i]) + ("even",) * (i % 2 == 0),
            n_frames=FRAMES_PER_GIF,
            group=i - 1 if i % 10 == 9 else i,
        )
        for i in range(n_gifs)
    ]


def _search(folder: Path, n_gifs: int, dim: int, write_s: float) -> None:
    before = resident_mb()
    start = time.perf_counter()
    bundle = Bundle.open(folder / "bundle")
    searcher = Searcher(bundle, SyntheticEncoder(dim))  # type: ignore[arg-type]
    open_s = time.perf_counter() - start
    queries = _queries(n_gifs, dim)
    for query in queries[:: len(queries) // WARM_UP]:
        searcher.search(query, PAGE_TOP_K, fold=True, keep=PAGE_FILTER)
    memory_mb = resident_mb()["RssAnon"] - before["RssAnon"]
    disk_mb = sum(facts["bytes"] for facts in bundle.manifest.files.values()) / 1e6
    print(
        f"{n_gifs:,} GIFs, {bundle.manifest.n_frames:,} frames of {dim} components, one thread; "
        f"index {bundle.manifest.index_kind}, {disk_mb:,.0f} MB on disk"
    )
    print(f"written in {write_s:.0f} s, opened in {open_s:.1f} s, {memory_mb:,.0f} MB of memory")
    print(
        f"Searcher.search, top_k {PAGE_TOP_K}, with folding; {QUERIES} held-out frames and "
        f"{QUERIES} texts"
    )
    print(
        f"{'filter':<14} {'results':>7} {'frames':>7} {'texts':>7} {'p50 ms':>7} {'p99 ms':>7} "
        f"{'CPU p50':>7} {'CPU p99':>7}"
    )
    exact = np.fromfile(folder / "exact.f32", np.float32).reshape(-1, dim)
    groups = bundle.records.groups
    for name, keep in FILTERS.items():
        searcher.search(queries[0], PAGE_TOP_K, fold=True, keep=keep)
        allowed = keep.mask(bundle.records)
        ms, cpu_ms, recalls, fewest = [], [], [], PAGE_TOP_K
        for query in queries:
            start, cpu_start = time.perf_counter(), time.process_time()
            results = searcher.search(query, PAGE_TOP_K, fold=True, keep=keep)
            cpu_ms.append(1000 * (time.process_time() - cpu_start))
            ms.append(1000 * (time.perf_counter() - start))
            fewest = min(fewest, len(results))
            found = {int(result.record.title) for result in results[:TOP_K]}
            expected = _expected(exact @ query, allowed, groups)
            recalls.append(len(found & expected) / len(expected))
        print(
            f"{name:<14} {fewest:>7} {np.mean(recalls[:QUERIES]):>7.3f} "
            f"{np.mean(recalls[QUERIES:]):>7.3f} {np.percentile(ms, 50):>7.2f} "
            f"{np.percentile(ms, 99):>7.2f} {np.percentile(cpu_ms, 50):>7.2f} "
            f"{np.percentile(cpu_ms, 99):>7.2f}",
            flush=True,
        )


def _queries(n_gifs: int, dim: int) -> np.ndarray:
    library = SyntheticLibrary(n_gifs, dim)
    frames = library.frames(QUERIES, np.random.default_rng(2))[::FRAMES_PER_GIF]
    return np.vstack([frames, library.texts(QUERIES, np.random.default_rng(3))])


def _expected(scores: np.ndarray, allowed: np.ndarray | None, groups: np.ndarray) -> set[int]:
    """The TOP_K best GIFs, of each group the best only."""
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    best = np.argpartition(-scores, 4 * TOP_K)[: 4 * TOP_K]
    best = best[np.argsort(-scores[best], kind="stable")]
    firsts = np.sort(np.unique(groups[best], return_index=True)[1])[:TOP_K]
    return set(best[firsts].tolist())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)

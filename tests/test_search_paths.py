"""Every path of search beside brute-force NumPy: kinds of index, poolings, filters, folding."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from conftest import FakeEncoder

from benchmarks.index import FRAMES_PER_GIF, SyntheticLibrary
from retrieval.library import KINDS, Bundle, BundleWriter, Catalog, GifFrames, Manifest, Record
from retrieval.library import writer as writers
from retrieval.search import Filter, Searcher

DIM = 64
N_GIFS = 6_000
N_QUERIES = 20
TOP_K = 10
RARE = frozenset({"rare"})

FILTERS = {
    "all": Filter(),
    "page default": Filter(min_score=-1.0),
    "half": Filter(tags=frozenset({"even", "unknown tag"})),
    "one licence of a source": Filter(licenses=frozenset({"MIT"}), sources=frozenset({"b"})),
    "1 %": Filter(tags=RARE, animated_only=True),
    "min score": Filter(min_score=0.25),
    "nothing": Filter(tags=frozenset({"unknown tag"})),
}


class Encoder64(FakeEncoder):
    dim = DIM


class Library:
    """Synthetic GIFs of one to eight frames; every fifth is a near-duplicate of the one before."""

    def __init__(self) -> None:
        synthetic = SyntheticLibrary(N_GIFS, DIM)
        rng = np.random.default_rng(0)
        blocks = np.concatenate(list(synthetic.chunks())).reshape(N_GIFS, FRAMES_PER_GIF, DIM)
        self.frames = [block[: 1 + i % FRAMES_PER_GIF] for i, block in enumerate(blocks)]
        for i in range(4, N_GIFS, 5):
            noisy = self.frames[i - 1] + 0.01 * rng.standard_normal(self.frames[i - 1].shape)
            self.frames[i] = unit(noisy).astype(np.float32)
        self.records = [
            Record(
                id=f"{i:064x}",
                uri=f"{i}.gif",
                title=str(i),
                tags=(*(("even",) if i % 2 == 0 else ()), *(("rare",) if i % 97 == 0 else ())),
                license=("MIT", "CC0-1.0", "unknown")[i % 3],
                source="ab"[i % 7 == 0],
                n_frames=len(frames),
                group=i - 1 if i % 5 == 4 else i,
            )
            for i, frames in enumerate(self.frames)
        ]
        texts = synthetic.texts(N_QUERIES, np.random.default_rng(3))
        self.queries = texts.astype(np.float32)

    def write(self, out: Path, kind: str, pooling: str) -> Bundle:
        fingerprint = Encoder64().fingerprint
        with BundleWriter(out, DIM) as writer:
            writer.write_embeddings(
                GifFrames(
                    record.id,
                    np.arange(len(frames), dtype=np.int32),
                    100 * np.arange(len(frames), dtype=np.int32),
                    frames,
                )
                for record, frames in zip(self.records, self.frames, strict=True)
            )
            writer.write_index(kind, pooling)
            writer.write_catalog(self.records)
            writer.finish(Manifest("fake", None, fingerprint, FRAMES_PER_GIF, pooling))
        return Bundle.open(out)

    @cached_property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """All frames, and where each GIF's start."""
        return np.concatenate(self.frames), np.cumsum([0, *map(len, self.frames[:-1])])

    def scores(self, query: np.ndarray, pooling: str) -> np.ndarray:
        frames, starts = self.rows
        if pooling == "mean":
            return unit(np.add.reduceat(frames, starts)) @ query
        return np.maximum.reduceat(frames @ query, starts)

    def answer(
        self, query: np.ndarray, pooling: str, keep: Filter, fold: bool
    ) -> list[tuple[int, float, list[int]]]:
        """(GIF, score, near-duplicates folded under it), best first, all of them."""
        scores = self.scores(query, pooling)
        least = -2 if keep.min_score is None else keep.min_score
        order = [
            i for i in np.argsort(-scores, kind="stable").tolist()
            if allows(keep, self.records[i]) and scores[i] >= least
        ]  # fmt: skip
        results: dict[int, tuple[int, float, list[int]]] = {}
        for i in order:
            leader = self.records[i].group if fold else i
            if leader in results:
                results[leader][2].append(i)
            else:
                results[leader] = (i, float(scores[i]), [])
        return list(results.values())


def allows(keep: Filter, record: Record) -> bool:
    return (
        (not keep.tags or bool(keep.tags & set(record.tags)))
        and (not keep.licenses or record.license in keep.licenses)
        and (not keep.sources or record.source in keep.sources)
        and (not keep.animated_only or record.n_frames > 1)
    )


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def library() -> Library:
    return Library()


@pytest.fixture(scope="module", params=["mean", "best_frame"])
def pooling(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module", params=KINDS)
def searcher(
    request: pytest.FixtureRequest,
    pooling: str,
    library: Library,
    tmp_path_factory: pytest.TempPathFactory,
) -> Searcher:
    out = tmp_path_factory.mktemp("bundle") / f"{request.param}-{pooling}"
    return Searcher(library.write(out, request.param, pooling), Encoder64())


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("name", FILTERS)
def test_search_matches_brute_force(name: str, fold: bool, searcher: Searcher, library: Library):
    keep = FILTERS[name]
    pooling = searcher.collection.pooling
    exact = searcher.collection.index.kind == "flat"
    n_found = n_expected = 0
    for query in library.queries:
        results = searcher.search(query, TOP_K, fold=fold, keep=keep)
        expected = library.answer(query, pooling, keep, fold)
        assert len(results) == min(TOP_K, len(expected))
        assert [r.rank for r in results] == list(range(1, len(results) + 1))
        by_gif = {gif: (score, folded) for gif, score, folded in expected}
        for result in results:
            score, folded = by_gif[int(result.record.title)]
            assert result.score == pytest.approx(score, abs=1e-3)
            assert [int(r.title) for r in result.folded] == folded
        found = [int(r.record.title) for r in results]
        best = [gif for gif, _, _ in expected[:TOP_K]]
        if exact:
            assert found == best
        n_found += len(set(found) & set(best))
        n_expected += len(best)
    assert n_found >= 0.95 * n_expected


def test_frames_of_results_have_their_own_scores(searcher: Searcher, library: Library):
    (first, *_) = searcher.search(library.queries[0], TOP_K)
    frames = library.frames[int(first.record.title)]
    expected = frames @ library.queries[0]
    np.testing.assert_allclose([f.score for f in first.frames], expected, atol=1e-3)
    assert [f.time_ms for f in first.frames] == [100 * i for i in range(len(frames))]
    assert first.best_frame == int(expected.argmax())


def test_more_like_this_ranks_by_the_mean_of_the_gif(searcher: Searcher, library: Library):
    query = searcher.like(f"{41:064x}")
    np.testing.assert_allclose(query, unit(library.frames[41].sum(axis=0)), atol=1e-3)
    found = [int(r.record.title) for r in searcher.search(query, TOP_K)]
    expected = library.answer(query, searcher.collection.pooling, Filter(), fold=False)
    assert len(set(found) & {gif for gif, _, _ in expected[:TOP_K]}) >= TOP_K - 1


def test_row_i_of_the_index_is_what_it_was_built_from(searcher: Searcher, library: Library):
    if searcher.collection.pooling == "mean":
        rows = np.array([unit(frames.sum(axis=0)) for frames in library.frames])
    else:
        rows = np.concatenate(library.frames)
    index = searcher.collection.index
    assert len(index) == len(rows)
    np.testing.assert_allclose(np.asarray(index.vectors, np.float32), rows, atol=1e-3)
    for i in range(7, len(rows), 997):
        scores, found = index.search(rows[i], 2)
        assert scores[0] == pytest.approx(1, abs=1e-3) and i in found


def test_same_query_returns_the_same_results(searcher: Searcher, library: Library):
    first, second = (searcher.search(library.queries[1], 30, fold=True) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("name", ["all", "half"])
def test_pages_joined_are_one_long_answer(
    name: str, fold: bool, searcher: Searcher, library: Library
):
    query, keep = library.queries[2], FILTERS[name]
    whole = searcher.search(query, 2 * N_GIFS, fold=fold, keep=keep)
    pages, starts = [], [0, 7, 30, 90, 91, 400, 3_000]
    for start, end in zip(starts, [*starts[1:], 2 * N_GIFS], strict=True):
        pages += searcher.search(query, end - start, fold=fold, keep=keep, offset=start)
    assert [(r.rank, r.record.id) for r in pages] == [(r.rank, r.record.id) for r in whole]
    assert [r.rank for r in whole] == list(range(1, len(whole) + 1))
    shown = [record.id for r in whole for record in (r.record, *r.folded)]
    expected = [record.id for record in library.records if allows(keep, record)]
    assert sorted(shown) == expected


def test_top_k_is_reached_where_most_of_the_best_are_near_duplicates(tmp_path: Path):
    library = Library.__new__(Library)
    rng = np.random.default_rng(1)
    base = unit(rng.standard_normal((1, DIM)))
    copies = [unit(base + 0.001 * rng.standard_normal((1, DIM))) for _ in range(300)]
    others = [unit(rng.standard_normal((1, DIM))) for _ in range(50)]
    library.frames = [frames.astype(np.float32) for frames in (*copies, *others)]
    library.records = [
        Record(f"{i:064x}", f"{i}.gif", str(i), group=0 if i < 300 else i) for i in range(350)
    ]
    searcher = Searcher(library.write(tmp_path / "b", "auto", "mean"), Encoder64())
    results = searcher.search(base[0].astype(np.float32), 12, fold=True)
    assert len(results) == 12 and len(results[0].folded) == 299
    assert [len(r.folded) for r in results[1:]] == [0] * 11


def test_large_bundle_maps_its_frames_from_a_file_and_answers_the_same(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    small = Searcher(library.write(tmp_path / "small", "flat", "mean"), Encoder64())
    monkeypatch.setattr(writers, "MAX_COMPONENTS_IN_MEMORY", 100_000)
    large = Searcher(library.write(tmp_path / "large", "flat", "mean"), Encoder64())
    assert isinstance(large.collection.embeddings.vectors.base, np.memmap)
    for query in library.queries:
        first, second = (s.search(query, TOP_K, fold=True) for s in (small, large))
        assert [r.record for r in first] == [r.record for r in second]
        assert [r.best_frame for r in first] == [r.best_frame for r in second]
        scores = [[f.score for r in results for f in r.frames] for results in (first, second)]
        np.testing.assert_allclose(*scores, atol=1e-3)


def test_filter_that_allows_all_builds_no_mask(library: Library):
    assert Filter(min_score=-1.0).mask(Catalog(library.records)) is None

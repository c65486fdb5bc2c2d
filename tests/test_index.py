"""Every kind of index, on real FAISS and clustered vectors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.index import FRAMES_PER_GIF, SyntheticLibrary
from retrieval.errors import BundleError, RetrievalError
from retrieval.library.faiss_index import (
    FLAT_COMPONENTS,
    KINDS,
    IndexKindError,
    VectorIndex,
    map_vectors,
    plan_index,
)

DIM = 64
APPROXIMATE = [kind for kind in KINDS if kind != "flat"]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    library = SyntheticLibrary(20_000 // FRAMES_PER_GIF, DIM)
    return np.concatenate(list(library.chunks()))


@pytest.fixture(scope="module")
def queries() -> dict[str, np.ndarray]:
    library = SyntheticLibrary(20_000 // FRAMES_PER_GIF, DIM)
    rng = np.random.default_rng(5)
    return {"frames": library.frames(100, rng)[::FRAMES_PER_GIF], "texts": library.texts(100, rng)}


@pytest.fixture(scope="module")
def indexes(vectors: np.ndarray) -> dict[str, VectorIndex]:
    return {kind: VectorIndex.build(vectors, plan_index(*vectors.shape, kind)) for kind in KINDS}


def brute_force(queries: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :k]


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    pairs = zip(found, expected, strict=True)
    return float(np.mean([len(set(f) & set(e)) / len(e) for f, e in pairs]))


def test_flat_answers_what_brute_force_answers(indexes, vectors, queries):
    scores, rows = indexes["flat"].search(queries["texts"], 10)
    assert indexes["flat"].exact
    np.testing.assert_array_equal(rows, brute_force(queries["texts"], vectors, 10))
    expected = np.take_along_axis(queries["texts"] @ vectors.T, rows, axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("sort", ["frames", "texts"])
@pytest.mark.parametrize("kind", APPROXIMATE)
def test_approximate_kinds_find_most_of_what_is_nearest(kind, sort, indexes, vectors, queries):
    expected = brute_force(queries[sort], vectors, 10)
    _, rows = indexes[kind].search(queries[sort], 10, vectors)
    assert recall(rows, expected) >= 0.95
    _, alone = indexes[kind].search(queries[sort], 10)
    assert recall(alone, expected) >= {"ivf-sq8": 0.93, "ivf-rabitq": 0.2}[kind]


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_scores_from_the_embeddings_are_exact_and_fall(kind, indexes, vectors, queries):
    scores, rows = indexes[kind].search(queries["texts"], 10, vectors)
    expected = np.take_along_axis(queries["texts"] @ vectors.T, rows, axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_row_i_of_the_index_is_row_i_of_the_embeddings(kind, indexes, vectors):
    wanted = np.arange(0, len(vectors), 501)
    assert len(indexes[kind]) == len(vectors) and indexes[kind].dim == DIM
    _, rows = indexes[kind].search(vectors[wanted], 1, vectors)
    np.testing.assert_array_equal(rows[:, 0], wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_all_rows_come_when_all_are_asked_for_and_minus_one_never(kind, indexes, vectors, queries):
    _, rows = indexes[kind].search(queries["texts"][:3], 10**9)
    assert rows.shape == (3, len(vectors))
    np.testing.assert_array_equal(np.sort(rows, axis=1)[1], np.arange(len(vectors)))


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_index_answers_the_same(
    kind, memory_map, indexes, vectors, queries, tmp_path: Path
):
    plan = plan_index(*vectors.shape, kind)
    indexes[kind].save(tmp_path / "vectors.faiss")
    loaded = VectorIndex.load(tmp_path / "vectors.faiss", plan.parameters, memory_map)
    assert (loaded.kind, len(loaded), loaded.dim) == (kind, len(vectors), DIM)
    for again, first in zip(
        loaded.search(queries["texts"], 10),
        indexes[kind].search(queries["texts"], 10),
        strict=True,
    ):
        np.testing.assert_array_equal(again, first)
    size = (tmp_path / "vectors.faiss").stat().st_size
    assert size / len(vectors) == pytest.approx(plan.bytes_per_vector, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_and_an_array_give_the_same_bytes(kind, indexes, vectors, tmp_path: Path):
    plan = plan_index(*vectors.shape, kind)
    bounds = range(0, len(vectors), 7_001)
    chunked = VectorIndex.build(lambda: (vectors[b : b + 7_001] for b in bounds), plan)
    chunked.save(tmp_path / "chunks")
    indexes[kind].save(tmp_path / "array")
    assert (tmp_path / "chunks").read_bytes() == (tmp_path / "array").read_bytes()


def test_candidates_are_scored_from_a_memory_mapped_file(indexes, vectors, queries, tmp_path: Path):
    vectors.astype(np.float16).tofile(tmp_path / "vectors.f16")
    mapped = map_vectors(tmp_path / "vectors.f16", DIM)
    scores, rows = indexes["ivf-rabitq"].search(queries["texts"], 10, mapped)
    assert recall(rows, brute_force(queries["texts"], vectors, 10)) >= 0.95
    expected = np.take_along_axis(queries["texts"] @ vectors.T, rows, axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-3)


@pytest.mark.parametrize("n", [1, 2, 39, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_small_libraries_work_in_every_kind(kind, n, vectors, queries):
    index = VectorIndex.build(vectors[:n], plan_index(n, DIM, kind))
    scores, rows = index.search(queries["texts"], 5, vectors[:n])
    k = min(5, n)
    assert scores.shape == rows.shape == (len(queries["texts"]), k)
    assert recall(rows, brute_force(queries["texts"], vectors[:n], k)) >= 0.9


def test_the_plan_goes_by_size_and_memory_and_says_numbers():
    gib = 1 << 30
    largest_flat = FLAT_COMPONENTS // 512
    assert plan_index(2_113, 256).kind == "flat"
    assert plan_index(largest_flat, 512).kind == "flat"
    assert plan_index(largest_flat + 1, 512).kind == "ivf-sq8"
    assert plan_index(1_000_000, 512, memory_bytes=gib).kind == "ivf-sq8"
    assert plan_index(1_000_000, 512, memory_bytes=gib // 2).kind == "ivf-rabitq"
    assert plan_index(10_000_000, 512, memory_bytes=gib).kind == "ivf-rabitq"

    plan = plan_index(1_000_000, 512, "ivf-rabitq")
    assert plan.factory == "RR512,IVF3000,RaBitQ"
    assert plan.parameters == {"nprobe": 375, "candidates": 1_000}
    assert plan.bytes_per_vector <= 100
    assert plan_index(1_000_000, 512, "ivf-sq8").bytes_per_vector <= 600
    assert plan.reason.startswith("1,000,000 vectors of 512 in 87 MB, 375 of 3000 lists searched")
    assert plan.expected_recall == 0.951 and "recall@10 0.95 measured" in plan.reason
    assert plan_index(1_000, 512).expected_recall == 1.0
    assert "open it memory-mapped" in plan_index(50_000_000, 512, memory_bytes=gib).reason


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda v: plan_index(9, 4, "annoy"), "Unknown index kind 'annoy'; choose auto or flat"),
        (lambda v: plan_index(0, 4), "There is nothing to index: 0 vectors of 4 components"),
        (lambda v: VectorIndex.build(lambda: [v]), "need a plan"),
        (
            lambda v: VectorIndex.build(v[:50], plan_index(20_000, DIM, "ivf-sq8")),
            r"planned for 20,000 vectors of 64 components; 50 came\. Plan it again",
        ),
        (
            lambda v: VectorIndex.build(v[:50], plan_index(49, DIM)),
            "planned for 49 vectors of 64 components; 50 came",
        ),
        (
            lambda v: VectorIndex.build(v[:50], plan_index(50, 32)),
            r"planned for 50 vectors of 32 components; a chunk of shape \(50, 64\) came",
        ),
    ],
)
def test_what_does_not_fit_says_what_to_do(make, expected, vectors):
    with pytest.raises(IndexKindError, match=expected) as caught:
        make(vectors)
    assert isinstance(caught.value, RetrievalError)


def test_a_file_of_another_kind_is_refused(vectors, tmp_path: Path):
    plan = replace(plan_index(300, DIM, "flat"), factory="HNSW8")
    with pytest.raises(BundleError, match="IndexHNSWFlat is no index of a known kind"):
        VectorIndex.build(vectors[:300], plan)
    (tmp_path / "vectors.faiss").write_bytes(b"not an index")
    with pytest.raises(BundleError, match="is no FAISS index that can be read"):
        VectorIndex.load(tmp_path / "vectors.faiss")

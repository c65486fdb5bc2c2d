"""Every kind of index, on real FAISS and clustered vectors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.index import FRAMES_PER_GIF, SyntheticLibrary
from retrieval.errors import BundleError, RetrievalError
from retrieval.library.faiss_index import VectorIndex, map_vectors
from retrieval.library.index_plan import (
    FLAT_COMPONENTS,
    KINDS,
    RABITQ_COMPONENTS,
    IndexKindError,
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


def search_each(
    index: VectorIndex, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(scores, rows) of all queries, each (n_queries, k)."""
    found = [index.search(query, k, allowed) for query in queries]
    return np.array([scores for scores, _ in found]), np.array([rows for _, rows in found])


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    pairs = zip(found, expected, strict=True)
    return float(np.mean([len(set(f) & set(e)) / len(e) for f, e in pairs]))


def test_flat_answers_what_brute_force_answers(indexes, vectors, queries):
    scores, rows = search_each(indexes["flat"], queries["texts"], 10)
    assert indexes["flat"].kind == "flat"
    np.testing.assert_array_equal(rows, brute_force(queries["texts"], vectors, 10))
    expected = np.take_along_axis(queries["texts"] @ vectors.T, rows, axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("sort", ["frames", "texts"])
@pytest.mark.parametrize("kind", APPROXIMATE)
def test_approximate_kinds_find_most_of_what_is_nearest(kind, sort, indexes, vectors, queries):
    expected = brute_force(queries[sort], vectors, 10)
    _, rows = search_each(indexes[kind], queries[sort], 10)
    assert recall(rows, expected) >= 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_scores_from_the_embeddings_are_exact_and_fall(kind, indexes, vectors, queries):
    scores, rows = search_each(indexes[kind], queries["texts"], 10)
    expected = np.take_along_axis(queries["texts"] @ vectors.T, rows, axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("share", [0.5, 0.2, 0.01])
@pytest.mark.parametrize("kind", KINDS)
def test_filtered_search_matches_brute_force_over_allowed_rows(
    kind, share, indexes, vectors, queries
):
    allowed = np.random.default_rng(7).random(len(vectors)) < share
    rows_allowed = np.flatnonzero(allowed)
    expected = rows_allowed[brute_force(queries["texts"], vectors[allowed], 10)]
    _, rows = search_each(indexes[kind], queries["texts"], 10, allowed)
    assert allowed[rows].all()
    assert recall(rows, expected) >= (0.95 if kind != "flat" and share > 0.1 else 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_filter_that_allows_fewer_than_top_k_returns_all_of_them(kind, indexes, vectors, queries):
    allowed = np.zeros(len(vectors), bool)
    allowed[[5, 17, 19_000]] = True
    scores, rows = indexes[kind].search(queries["texts"][0], 10, allowed)
    assert sorted(rows.tolist()) == [5, 17, 19_000] and len(scores) == 3
    scores, rows = indexes[kind].search(queries["texts"][0], 10, np.zeros(len(vectors), bool))
    assert len(scores) == len(rows) == 0


@pytest.mark.parametrize("n_copies", [40, 3_000])
def test_equal_scores_come_in_the_order_of_their_rows(n_copies, vectors):
    """More copies than are fetched at first: which of them come must not be FAISS's choice."""
    copies = np.concatenate([vectors[:100], np.repeat(vectors[:1], n_copies, axis=0)])
    index = VectorIndex.build(copies)
    _, rows = index.search(vectors[0], 10)
    assert rows.tolist() == [0, *range(100, 109)]


@pytest.mark.parametrize("kind", KINDS)
def test_row_i_of_the_index_is_row_i_of_the_embeddings(kind, indexes, vectors):
    wanted = np.arange(0, len(vectors), 501)
    assert len(indexes[kind]) == len(vectors) and indexes[kind].dim == DIM
    _, rows = search_each(indexes[kind], vectors[wanted], 1)
    np.testing.assert_array_equal(rows[:, 0], wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_all_rows_come_when_all_are_asked_for_and_minus_one_never(kind, indexes, vectors, queries):
    _, rows = search_each(indexes[kind], queries["texts"][:3], 10**9)
    assert rows.shape == (3, len(vectors))
    np.testing.assert_array_equal(np.sort(rows, axis=1)[1], np.arange(len(vectors)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_index_answers_the_same(kind, indexes, vectors, queries, tmp_path: Path):
    plan = plan_index(*vectors.shape, kind)
    indexes[kind].save(tmp_path / "vectors.faiss")
    loaded = VectorIndex.load(tmp_path / "vectors.faiss", vectors, plan.parameters)
    assert (loaded.kind, len(loaded), loaded.dim) == (kind, len(vectors), DIM)
    for again, first in zip(
        search_each(loaded, queries["texts"], 10),
        search_each(indexes[kind], queries["texts"], 10),
        strict=True,
    ):
        np.testing.assert_array_equal(again, first)
    size = (tmp_path / "vectors.faiss").stat().st_size
    assert size / len(vectors) == pytest.approx(plan.bytes_per_vector, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_map_and_an_array_give_the_same_bytes(kind, vectors, tmp_path: Path):
    plan = plan_index(*vectors.shape, kind)
    half = vectors.astype(np.float16)
    half.tofile(tmp_path / "vectors.f16")
    VectorIndex.build(map_vectors(tmp_path / "vectors.f16", DIM), plan).save(tmp_path / "mapped")
    VectorIndex.build(half, plan).save(tmp_path / "array")
    assert (tmp_path / "mapped").read_bytes() == (tmp_path / "array").read_bytes()


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_candidates_are_scored_from_a_memory_mapped_file(
    kind, indexes, vectors, queries, tmp_path: Path
):
    vectors.astype(np.float16).tofile(tmp_path / "vectors.f16")
    indexes[kind].save(tmp_path / "vectors.faiss")
    mapped = map_vectors(tmp_path / "vectors.f16", DIM)
    plan = plan_index(*vectors.shape, kind)
    index = VectorIndex.load(tmp_path / "vectors.faiss", mapped, plan.parameters)
    scores, rows = search_each(index, queries["texts"], 10)
    assert recall(rows, brute_force(queries["texts"], vectors, 10)) >= 0.95
    expected = np.take_along_axis(queries["texts"] @ vectors.T, rows, axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-3)


@pytest.mark.parametrize("n", [1, 2, 39, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_small_libraries_work_in_every_kind(kind, n, vectors, queries):
    index = VectorIndex.build(vectors[:n], plan_index(n, DIM, kind))
    scores, rows = search_each(index, queries["texts"], 5)
    k = min(5, n)
    assert scores.shape == rows.shape == (len(queries["texts"]), k)
    assert recall(rows, brute_force(queries["texts"], vectors[:n], k)) >= 0.9


def test_the_plan_goes_by_size_and_says_numbers():
    assert plan_index(2_113, 256).kind == "flat"
    for components, kind, larger in (
        (FLAT_COMPONENTS, "flat", "rabitq"),
        (RABITQ_COMPONENTS, "rabitq", "ivf-rabitq"),
    ):
        assert plan_index(components // 512, 512).kind == kind
        assert plan_index(components // 512 + 1, 512).kind == larger

    plan = plan_index(1_000_000, 512, "ivf-rabitq")
    assert plan.factory == "RR512,IVF3000,RaBitQ"
    assert plan.parameters == {"nprobe": 375, "candidates": 1_131}
    assert plan.bytes_per_vector <= 100
    assert plan.reason.startswith("1,000,000 vectors of 512 in 87 MB, 375 of 3000 lists searched")
    assert plan.expected_recall == 0.951 and "recall@10 0.95 measured" in plan.reason
    assert plan_index(1_000, 512).expected_recall == 1.0

    plan = plan_index(125_000, 512)
    assert (plan.kind, plan.factory) == ("rabitq", "RR512,RaBitQ")
    assert plan.parameters == {"candidates": 400}
    assert plan.reason.startswith("125,000 vectors of 512 in 10 MB, compared one by one by 1-bit")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda v: plan_index(9, 4, "annoy"), "Unknown index kind 'annoy'; choose auto or flat"),
        (lambda v: plan_index(0, 4), "There is nothing to index: 0 vectors of 4 components"),
        (
            lambda v: plan_index(9, 4, "ivf-sq8"),
            "Unknown index kind 'ivf-sq8'; choose auto or flat",
        ),
        (
            lambda v: VectorIndex.build(v[:50], plan_index(20_000, DIM, "rabitq")),
            r"planned for 20,000 vectors of 64 components; 50 of 64 came\. Plan it again",
        ),
        (
            lambda v: VectorIndex.build(v[:50], plan_index(49, DIM)),
            "planned for 49 vectors of 64 components; 50 of 64 came",
        ),
        (
            lambda v: VectorIndex.build(v[:50], plan_index(50, 32)),
            r"planned for 50 vectors of 32 components; 50 of 64 came",
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

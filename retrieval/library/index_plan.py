"""Choose the kind of vector index by size, from measured recall and query times.

flat        all vectors in float32, compared one by one: exact, no training.
rabitq      all vectors as 1-bit RaBitQ codes, compared one by one; the best candidates are
            re-ranked by their exact float16 vectors, memory-mapped.
ivf-rabitq  the same codes in inverted lists (IVF), of which only some are searched.

RaBitQ: Gao & Long, 2024, https://arxiv.org/abs/2405.12497, after a random rotation ("RR").

The figures in this file are those of `python -m benchmarks index` on the synthetic library
of benchmarks/index.py, 512 components, one thread. Tried there and left out: 8-bit codes
as a second stage in memory ("ivf-sq8" of bundle format 2: the recall of ivf-rabitq at
seven times its memory, now that the float16 vectors lie in every such bundle); OPQ and PQ
(the recall and size of RaBitQ, but minutes of training); HNSW (over 600 bytes a vector,
recall 0.89 for texts at 100,000 vectors, and its bytes depend on the order of threads); L2
instead of inner product in the lists (recall 0.57 to 0.88 where inner product has 0.83 to
0.97). autofaiss holds numpy below 2 and tunes on queries that are distributed like the
vectors; messages are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.errors import RetrievalError

KINDS = ("flat", "rabitq", "ivf-rabitq")
KIND = "flat"  # of a small library

# Largest n × dim of each kind that `auto` chooses. Flat: 20,000 vectors of 512 components
# take 2.6 ms a query.
FLAT_COMPONENTS = 10_240_000
RABITQ_COMPONENTS = 204_800_000

# Vectors that train each list. FAISS warns below 39; more did not raise recall (measured).
TRAINING_VECTORS_PER_LIST = 40
MAX_LISTS = 8192  # k-means and adding cost n × lists: 8192 train for five minutes on one core
CANDIDATES = 400  # re-ranked, at up to CANDIDATES_UP_TO vectors of 512 components
CANDIDATES_UP_TO = 125_000


class IndexKindError(RetrievalError):
    """No index of this kind can be built from these vectors."""


@dataclass(frozen=True)
class IndexPlan:
    """The chosen kind of index, its parameters, and the reason in numbers."""

    kind: str  # one of KINDS
    n: int  # vectors it is made for
    dim: int
    factory: str  # FAISS's factory string
    # Search-time: `candidates`, vectors re-ranked; `nprobe`, inverted lists searched.
    parameters: Mapping[str, int]
    bytes_per_vector: float  # of the index; the float16 vectors for re-ranking come on top
    expected_recall: float  # recall@10 as measured, the lower of held-out frames' and texts'
    reason: str  # one sentence


def plan_index(n: int, dim: int, kind: str = "auto") -> IndexPlan:
    """Return the plan of the fastest kind for n vectors of `dim` components, or of `kind`.

    IndexKindError if there is no such kind, or nothing to index.
    """
    if n < 1 or dim < 1:
        raise IndexKindError(f"There is nothing to index: {n} vectors of {dim} components.")
    if kind == "auto":
        kind = _fastest_kind(n * dim)
    if kind not in KINDS:
        raise IndexKindError(f"Unknown index kind {kind!r}; choose auto or {', '.join(KINDS)}.")
    lists = _lists(n)
    parameters: dict[str, int] = {}
    if kind != "flat":
        parameters["candidates"] = _candidates(n, dim)
    if kind == "ivf-rabitq":
        parameters["nprobe"] = _nprobe(n)
    recall = _expected_recall(kind, n)
    how = {
        "flat": f"compared one by one: exact (up to {FLAT_COMPONENTS // dim:,} that is quick)",
        "rabitq": f"compared one by one by 1-bit codes, {_candidates(n, dim):,} candidates "
        f"re-ranked: recall@10 {recall:.2f} measured",
        "ivf-rabitq": f"{_nprobe(n)} of {lists} lists searched, {_candidates(n, dim):,} "
        f"candidates re-ranked: recall@10 {recall:.2f} measured",
    }[kind]
    bytes_per_vector = _bytes_per_vector(kind, n, dim)
    return IndexPlan(
        kind=kind,
        n=n,
        dim=dim,
        factory={
            "flat": "Flat",
            "rabitq": f"RR{dim},RaBitQ",
            "ivf-rabitq": f"RR{dim},IVF{lists},RaBitQ",
        }[kind],
        parameters=parameters,
        bytes_per_vector=bytes_per_vector,
        expected_recall=recall,
        reason=f"{n:,} vectors of {dim} in {n * bytes_per_vector / 1e6:,.0f} MB, {how}.",
    )


def _fastest_kind(n_components: int) -> str:
    if n_components <= FLAT_COMPONENTS:
        return "flat"
    return "rabitq" if n_components <= RABITQ_COMPONENTS else "ivf-rabitq"


def _lists(n: int) -> int:
    """3 √n inverted lists, as far as there are vectors to train them."""
    return max(1, min(round(3 * n**0.5), n // TRAINING_VECTORS_PER_LIST, MAX_LISTS))


def n_training(n: int) -> int:
    """Return how many of n vectors to train on."""
    return min(n, TRAINING_VECTORS_PER_LIST * max(_lists(n), 100))


def _nprobe(n: int) -> int:
    """An eighth of the lists at a million vectors, a fifth at 100,000: what texts need.

    Held-out frames reach the same recall with a third of that.
    """
    return max(1, min(_lists(n), round(_lists(n) * 0.125 * (1e6 / n) ** 0.2)))


def _candidates(n: int, dim: int) -> int:
    """RaBitQ's error goes with 1/√dim, and neighbours draw nearer as n grows."""
    growth = max(1.0, 512 / dim) ** 0.5 * max(1.0, n / CANDIDATES_UP_TO) ** 0.5
    return round(CANDIDATES * growth)


def _bytes_per_vector(kind: str, n: int, dim: int) -> float:
    if kind == "flat":
        return 4.0 * dim
    code = (dim + 7) // 8 + 8  # a bit a component, two float32 factors
    if kind == "rabitq":
        return code + 4 * dim * dim / n  # and the rotation
    return code + 8 + 4 * dim * (_lists(n) + dim) / n  # row numbers, centroids, rotation


def _expected_recall(kind: str, n: int) -> float:
    """Return the lower of the two recalls at the measured size nearest by ratio."""
    if kind == "flat":
        return 1.0
    measured = MEASURED[kind]
    return min(measured[min(measured, key=lambda size: max(size / n, n / size))])


# recall@10 as measured, by number of vectors: for held-out frames, for text-like queries.
MEASURED: Mapping[str, Mapping[int, tuple[float, float]]] = {
    "rabitq": {125_000: (0.999, 0.996)},
    "ivf-rabitq": {
        10_000: (0.993, 0.992),
        100_000: (0.989, 0.960),
        1_000_000: (0.981, 0.951),
    },
}

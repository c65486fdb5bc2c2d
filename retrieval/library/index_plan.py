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
        fits_codes = n * dim <= RABITQ_COMPONENTS
        kind = KIND if n * dim <= FLAT_COMPONENTS else "rabitq" if fits_codes else "ivf-rabitq"
    if kind not in KINDS:
        raise IndexKindError(f"Unknown index kind {kind!r}; choose auto or {', '.join(KINDS)}.")
    lists, nprobe = _lists(n), _nprobe(n)
    # The lower of the two recalls at the measured size nearest by ratio.
    measured = MEASURED[kind]
    recall = min(measured[min(measured, key=lambda size: max(size / n, n / size))])
    # RaBitQ's error goes with 1/√dim, and neighbours draw nearer as n grows.
    growth = max(1.0, 512 / dim) ** 0.5 * max(1.0, n / CANDIDATES_UP_TO) ** 0.5
    candidates = round(CANDIDATES * growth)
    reranked = f"{candidates:,} candidates re-ranked: recall@10 {recall:.2f} measured"
    code = (dim + 7) // 8 + 8  # a bit a component, two float32 factors
    rotation = 4 * dim * dim / n
    parameters: dict[str, int] = {}
    if kind == "flat":
        factory, bytes_per_vector = "Flat", 4.0 * dim
        how = f"compared one by one: exact (up to {FLAT_COMPONENTS // dim:,} that is quick)"
    elif kind == "rabitq":
        factory, bytes_per_vector = f"RR{dim},RaBitQ", code + rotation
        parameters = {"candidates": candidates}
        how = f"compared one by one by 1-bit codes, {reranked}"
    else:
        factory = f"RR{dim},IVF{lists},RaBitQ"
        bytes_per_vector = code + rotation + 8 + 4 * dim * lists / n  # row numbers, centroids
        parameters = {"candidates": candidates, "nprobe": nprobe}
        how = f"{nprobe} of {lists} lists searched, {reranked}"
    reason = f"{n:,} vectors of {dim} in {n * bytes_per_vector / 1e6:,.0f} MB, {how}."
    return IndexPlan(kind, n, dim, factory, parameters, bytes_per_vector, recall, reason)


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


# recall@10 as measured, by number of vectors: for held-out frames, for text-like queries.
MEASURED: Mapping[str, Mapping[int, tuple[float, float]]] = {
    "flat": {1: (1.0, 1.0)},  # exact at any size
    "rabitq": {125_000: (0.999, 0.996)},
    "ivf-rabitq": {
        10_000: (0.993, 0.992),
        100_000: (0.989, 0.960),
        1_000_000: (0.981, 0.951),
    },
}

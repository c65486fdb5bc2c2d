"""The vector index: FAISS, inner product over unit vectors. The one importer of faiss.

Three kinds, chosen by `plan_index`; row i of any of them is row i of the embeddings.

flat        every vector, float32, compared one by one: exact, no training.
ivf-sq8     in memory and on its own: inverted lists (IVF) of 1-bit RaBitQ codes say which
            rows are worth a closer look, 8 bits a component say how good they are.
ivf-rabitq  the inverted lists and 1-bit codes alone, a sixth of that memory.
            Their order is rough: give `search` the embeddings (a memory-mapped file
            will do) and it scores the best candidates again, exactly.

The figures in this file are those of `python -m benchmarks index`, whose synthetic
library is described in benchmarks/index.py. Tried there at a million vectors of 512
components, one thread, and left out: IVF with 8-bit codes scanned directly (as good, but
15 ms a query where the two passes of ivf-sq8 take 4); OPQ and PQ (the same recall and
bytes as RaBitQ, but minutes of training where RaBitQ needs none); HNSW (over 600 bytes a
vector, found 0.89 of what texts look for at 100,000 vectors, and the order in which
threads add decides its bytes); L2 instead of inner product in the lists (0.57 to 0.88
where inner product has 0.83 to 0.97). autofaiss would choose by itself, but holds numpy
below 2 and tunes on queries that are distributed like the vectors; messages are not.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from retrieval.errors import BundleError, RetrievalError

# Its type stubs know neither the keywords of search parameters nor what downcasts give.
_untyped: Any = faiss

KINDS = ("flat", "ivf-sq8", "ivf-rabitq")
KIND = "flat"  # what a small library gets

Chunks = Callable[[], Iterable[np.ndarray]]

# n × dim up to which every vector is compared: 100,000 of 512 components take 15 ms on one
# thread, less than it takes to encode the message (23 to 77 ms).
FLAT_COMPONENTS = 51_200_000
DEFAULT_MEMORY_BYTES = 1 << 30  # what an index may take of a laptop, or of a free Space

SEED = 1234
# Vectors that train each list. FAISS warns below 39; more did not raise recall (measured).
TRAINING_VECTORS_PER_LIST = 40
MAX_LISTS = 8192  # k-means and adding cost n × lists: 8192 train for five minutes on one core
ROWS_AT_ONCE = 16_384  # how many vectors become float32 together; 34 MB of 512 components
QUERY_BITS = 4  # of RaBitQ; 6 and 8 found no more, unquantised queries take 100 times as long
CANDIDATES = 1_000

# recall@10 as measured (dim 512, embeddings given to `search`) by number of vectors: for
# held-out frames, for text-like queries. Both kinds lose what lies in lists not looked into,
# so both lose the same; ivf-sq8 on its own finds 0.01 to 0.02 less.
MEASURED: Mapping[int, tuple[float, float]] = {
    10_000: (0.993, 0.992),
    100_000: (0.989, 0.960),
    1_000_000: (0.981, 0.951),
}


class IndexKindError(RetrievalError):
    """No index of this kind can be built from these vectors."""


@dataclass(frozen=True)
class IndexPlan:
    """What was chosen, and why, in numbers."""

    kind: str  # one of KINDS
    n: int  # vectors it is made for
    dim: int
    factory: str  # FAISS's factory string
    # Search-time: `nprobe`, inverted lists looked into; `candidates`, rows scored again, by
    # the index itself (ivf-sq8) or from the embeddings given to `search` (ivf-rabitq).
    parameters: Mapping[str, int]
    bytes_per_vector: float  # of the index; the embeddings that ivf-rabitq reads come on top
    expected_recall: float  # recall@10 as measured, the lower of frames' and texts'
    reason: str  # one sentence


def plan_index(
    n: int, dim: int, kind: str = "auto", memory_bytes: int = DEFAULT_MEMORY_BYTES
) -> IndexPlan:
    """The kind that fits n vectors of `dim` components into so many bytes, or the one named.

    IndexKindError if there is no such kind, or nothing to index.
    """
    if n < 1 or dim < 1:
        raise IndexKindError(f"There is nothing to index: {n} vectors of {dim} components.")
    if kind == "auto":
        fits_flat = n * dim <= FLAT_COMPONENTS and _bytes_per_vector("flat", n, dim) * n
        if fits_flat and fits_flat <= memory_bytes:
            kind = "flat"
        elif _bytes_per_vector("ivf-sq8", n, dim) * n <= memory_bytes:
            kind = "ivf-sq8"
        else:
            kind = "ivf-rabitq"
    if kind not in KINDS:
        raise IndexKindError(f"Unknown index kind {kind!r}; choose auto or {', '.join(KINDS)}.")
    lists = _lists(n)
    parameters = {"nprobe": _nprobe(n), "candidates": _candidates(n, dim)}
    bytes_per_vector = _bytes_per_vector(kind, n, dim)
    recall = _expected_recall(kind, n)
    size = f"{n:,} vectors of {dim} in {n * bytes_per_vector / 1e6:,.0f} MB"
    if kind == "flat":
        how = f"compared one by one: exact (up to {FLAT_COMPONENTS // dim:,} that is quick)"
    else:
        how = (
            f"{parameters['nprobe']} of {lists} lists searched and {parameters['candidates']:,} "
            f"candidates scored again: recall@10 {recall:.2f} measured"
        )
    over = n * bytes_per_vector > memory_bytes
    note = f"; more than the {memory_bytes / 1e6:,.0f} MB allowed, open it memory-mapped"
    return IndexPlan(
        kind=kind,
        n=n,
        dim=dim,
        factory={
            "flat": "Flat",
            "ivf-sq8": f"RR{dim},IVF{lists},RaBitQ,Refine(SQ8)",
            "ivf-rabitq": f"RR{dim},IVF{lists},RaBitQ",
        }[kind],
        parameters={} if kind == "flat" else parameters,
        bytes_per_vector=bytes_per_vector,
        expected_recall=recall,
        reason=f"{size}, {how}{note if over else ''}.",
    )


def _lists(n: int) -> int:
    """3 √n inverted lists, as far as there are vectors to train them."""
    return max(1, min(round(3 * n**0.5), n // TRAINING_VECTORS_PER_LIST, MAX_LISTS))


def _nprobe(n: int) -> int:
    """An eighth of the lists at a million vectors, a fifth at 100,000: what texts need.

    Held-out frames reach the same recall with a third of that.
    """
    return max(1, min(_lists(n), round(_lists(n) * 0.125 * (1e6 / n) ** 0.2)))


def _candidates(n: int, dim: int) -> int:
    """RaBitQ's error goes with 1/√dim, and neighbours draw nearer as n grows."""
    return round(CANDIDATES * max(1.0, 512 / dim) ** 0.5 * max(1.0, n / 1e6) ** 0.5)


def _bytes_per_vector(kind: str, n: int, dim: int) -> float:
    if kind == "flat":
        return 4.0 * dim
    code = (dim + 7) // 8 + 8  # a bit a component, two float32 factors
    row_number = 8
    shared = 4 * dim * (_lists(n) + dim)  # centroids and rotation
    return code + row_number + shared / n + (dim if kind == "ivf-sq8" else 0)


def _expected_recall(kind: str, n: int) -> float:
    """The lower of the two recalls at the measured size that is nearest by ratio."""
    if kind == "flat":
        return 1.0
    return min(MEASURED[min(MEASURED, key=lambda size: abs(np.log(size / n)))])


class VectorIndex:
    """Row numbers of the nearest embeddings, best first."""

    def __init__(self, index: faiss.Index, parameters: Mapping[str, int] | None = None):
        """`parameters` as in IndexPlan; BundleError if the index is of no known kind."""
        self._owner = index  # what downcast_index returns does not keep the index alive
        self._index = faiss.downcast_index(index)
        self.kind = _kind_of(self._index)
        self._nprobe = self._lists = self._candidates = 0
        if self.kind != "flat":
            ivf = faiss.extract_index_ivf(_first_pass(self._index))
            known = dict(parameters or {})
            self._lists = int(ivf.nlist)
            self._nprobe = min(known.get("nprobe", int(ivf.nprobe)), self._lists)
            self._candidates = known.get("candidates", CANDIDATES)

    @classmethod
    def build(cls, vectors: np.ndarray | Chunks, plan: IndexPlan | None = None) -> VectorIndex:
        """An index of unit vectors (n, dim), float32 or float16; row i keeps number i.

        Vectors come as an array, or as a function that yields them in chunks, in order: it
        is called twice, to train and to add, and no more than the training sample and
        16,384 rows are float32 at once (flat, which is float32, apart). Without a plan the
        index is flat. The same vectors and plan give the same bytes when saved.
        IndexKindError if the vectors are not those that the plan was made for.
        """
        if isinstance(vectors, np.ndarray):
            array = vectors
            plan = plan or plan_index(array.shape[0], array.shape[1], kind="flat")
            return cls.build(lambda: [array], plan)
        if plan is None:
            raise IndexKindError("Vectors in chunks need a plan: plan_index(n, dim).")
        index = faiss.index_factory(plan.dim, plan.factory, faiss.METRIC_INNER_PRODUCT)
        if plan.kind != "flat":
            ivf = _untyped.downcast_index(faiss.extract_index_ivf(_first_pass(index)))
            ivf.qb = QUERY_BITS
            ivf.nprobe = plan.parameters["nprobe"]
            ivf.cp.seed = SEED
            ivf.cp.min_points_per_centroid = 1  # else FAISS prints a warning on tiny libraries
            index.train(_sample(vectors, plan))
        for block in _blocks(vectors, plan):
            index.add(np.ascontiguousarray(block, np.float32))
        if index.ntotal != plan.n:
            raise _not_as_planned(plan, f"{index.ntotal:,} came")
        return cls(index, plan.parameters)

    @classmethod
    def load(
        cls, path: Path, parameters: Mapping[str, int] | None = None, memory_map: bool = False
    ) -> VectorIndex:
        """The index in a file; BundleError if it is none that this program writes.

        With `memory_map` it stays in the file, and the system keeps in memory what is used.
        """
        try:
            # Not IO_FLAG_MMAP, which maps inverted lists alone and reads 8-bit codes in.
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if memory_map else 0)
            return cls(index, parameters)
        except (RuntimeError, BundleError) as error:
            raise BundleError(f"{path} is no FAISS index that can be read") from error

    def save(self, path: Path) -> None:
        """Write the index to a file; OSError if it cannot be written whole.

        FAISS's own writer prints an error of the last block, and leaves the file cut short.
        """
        with path.open("wb") as file:
            faiss.write_index(self._index, _untyped.PyCallbackIOWriter(file.write))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        return int(self._index.d)

    @property
    def exact(self) -> bool:
        return self.kind == "flat"

    def search(
        self, queries: np.ndarray, top_k: int, vectors: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(scores float32, rows int64), each (n_queries, min(top_k, len(self))), best first.

        `vectors` are the embeddings (n, dim), float32 or float16, maybe memory-mapped
        (`map_vectors`): an approximate index then finds more rows than asked for, and
        returns the top_k of them by exact score. Without them scores are approximate.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        top_k = min(top_k, len(self))
        if self.exact:
            return self._index.search(queries, top_k)
        if vectors is None:
            return self._search(queries, top_k)
        # What 8 bits confuse lies close together, such as the frames of one GIF: at a million
        # vectors the best 30 rows held all of the ten that the first pass had found.
        n = max(4 * top_k, 32) if self.kind == "ivf-sq8" else max(top_k, self._candidates)
        _, rows = self._search(queries, min(n, len(self)))
        return _rescore(queries, rows, vectors, top_k)

    def _search(self, queries: np.ndarray, top_k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `search`. Looks into more lists when too few rows are in those of a query."""
        nprobe = self._nprobe
        while True:
            found = self._index.search(queries, top_k, params=self._parameters(nprobe, top_k))
            if nprobe >= self._lists or (found[1] >= 0).all():
                return found
            nprobe = min(4 * nprobe, self._lists)

    def _parameters(self, nprobe: int, top_k: int) -> faiss.SearchParameters:
        """Those of one call: an index is shared by threads, so its own are never changed."""
        first = _untyped.SearchParametersPreTransform(
            index_params=_untyped.SearchParametersIVF(nprobe=nprobe)
        )
        if self.kind == "ivf-rabitq":
            return first
        rows = min(max(self._candidates, top_k), len(self))
        return _untyped.IndexRefineSearchParameters(
            k_factor=rows / max(top_k, 1), base_index_params=first
        )


def map_vectors(path: Path, dim: int, dtype: Any = np.float16) -> np.ndarray:
    """The rows in a file of bare numbers, (n, dim), memory-mapped read-only for re-ranking."""
    vectors: np.memmap = np.memmap(path, dtype, "r")
    # Rows are wanted here and there. Reading ahead, as is usual, made a thousand rows that
    # were not in memory yet take 670 ms instead of 44.
    mapped = getattr(vectors, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_RANDOM"):  # not on Windows
        mapped.madvise(mmap.MADV_RANDOM)
    return vectors.reshape(-1, dim)


def _rescore(
    queries: np.ndarray, rows: np.ndarray, vectors: np.ndarray, top_k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each query's top_k of its candidate rows (n_queries, n) by exact score."""
    scores = np.empty((len(queries), top_k), np.float32)
    best = np.empty((len(queries), top_k), np.int64)
    for i, query in enumerate(queries):
        ascending = np.sort(rows[i])  # frames of a GIF lie side by side in the file
        # Not a matrix product: its threads and FAISS's wait for each other's cores, and a query
        # takes 8 ms instead of 1.8 (two cores, 100,000 vectors). On one thread both are alike.
        exact = np.einsum("ij,j->i", np.asarray(vectors[ascending], np.float32), query)
        order = np.argsort(-exact, kind="stable")[:top_k]
        scores[i], best[i] = exact[order], ascending[order]
    return scores, best


def _sample(chunks: Chunks, plan: IndexPlan) -> np.ndarray:
    """The vectors to train on, float32, the same ones every time."""
    size = min(plan.n, TRAINING_VECTORS_PER_LIST * max(_lists(plan.n), 100))
    wanted = np.sort(np.random.default_rng(SEED).choice(plan.n, size, replace=False))
    sample = np.empty((size, plan.dim), np.float32)
    start = taken = 0
    for block in _blocks(chunks, plan):
        end = int(np.searchsorted(wanted, start + len(block)))
        sample[taken:end] = block[wanted[taken:end] - start]
        start, taken = start + len(block), end
        if taken == size:
            return sample
    raise _not_as_planned(plan, f"{start:,} came")


def _blocks(chunks: Chunks, plan: IndexPlan) -> Iterator[np.ndarray]:
    """The rows in blocks of ROWS_AT_ONCE, wherever the chunks end.

    BLAS may round a row by the size of the block it comes in (seen on a Zen processor),
    and with it the bytes of the index.
    """
    block: list[np.ndarray] = []
    n_rows = 0
    for chunk in chunks():
        if chunk.ndim != 2 or chunk.shape[1] != plan.dim:
            raise _not_as_planned(plan, f"a chunk of shape {chunk.shape} came")
        while len(chunk):
            piece, chunk = np.split(chunk, [ROWS_AT_ONCE - n_rows])
            block.append(piece)
            n_rows += len(piece)
            if n_rows == ROWS_AT_ONCE:
                yield _joined(block)
                block, n_rows = [], 0
    if block:
        yield _joined(block)


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _not_as_planned(plan: IndexPlan, found: str) -> IndexKindError:
    return IndexKindError(
        f"The {plan.kind} index was planned for {plan.n:,} vectors of {plan.dim} components; "
        f"{found}. Plan it again for what there is: plan_index(n, dim)."
    )


def _first_pass(index: faiss.Index) -> faiss.Index:
    """The part with the inverted lists."""
    index = faiss.downcast_index(index)
    return index.base_index if isinstance(index, faiss.IndexRefine) else index


def _kind_of(index: faiss.Index) -> str:
    if isinstance(index, faiss.IndexFlat):
        return "flat"
    first = faiss.downcast_index(_first_pass(index))
    lists = faiss.downcast_index(first.index) if isinstance(first, faiss.IndexPreTransform) else 0
    if isinstance(lists, faiss.IndexIVFRaBitQ):
        return "ivf-sq8" if isinstance(index, faiss.IndexRefine) else "ivf-rabitq"
    raise BundleError(f"{type(index).__name__} is no index of a known kind")

"""The vector index: FAISS, inner product over unit vectors. The one importer of faiss.

Row i of an index is row i of the vectors it was built from. The kinds are described in
index_plan.py. An approximate kind only selects candidates: their scores are computed from
the exact vectors, so every score that leaves this module is exact.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from retrieval.errors import BundleError, reason_of
from retrieval.library.faiss_file import check_layout
from retrieval.library.index_plan import (
    CANDIDATES,
    IndexKindError,
    IndexPlan,
    n_training,
    plan_index,
)

# Its type stubs know neither the keywords of search parameters nor what downcasts give.
_untyped: Any = faiss

SEED = 1234
ROWS_AT_ONCE = 16_384  # how many vectors become float32 together; 34 MB of 512 components
QUERY_BITS = 4  # of RaBitQ; 6 and 8 found no more, unquantised queries take 100 times as long

# A filter that allows at most this many rows has them all scored, exactly: 2,500 rows of 512
# components take 3 ms, and no approximate search among so few finds as much.
MAX_EXHAUSTIVE = 2_500


class VectorIndex:
    """The rows of the nearest vectors, best first, and their exact scores."""

    def __init__(
        self,
        index: faiss.Index,
        vectors: np.ndarray | None = None,
        parameters: Mapping[str, int] | None = None,
    ):
        """`vectors` (n, dim), float32 or float16, re-rank the candidates of an approximate
        kind; `parameters` as in IndexPlan. BundleError if the index is of no known kind."""
        self._owner = index  # what downcast_index returns does not keep the index alive
        self._index = _untyped.downcast_index(index)
        self.kind = _kind_of(self._index)
        self._nprobe = self._lists = 0
        self._candidates = len(self)
        if self.kind == "flat":
            stored = _untyped.rev_swig_ptr(self._index.get_xb(), len(self) * self.dim)
            vectors = stored.reshape(len(self), self.dim)
        elif vectors is None or vectors.shape != (len(self), self.dim):
            raise BundleError(f"The vectors of a {self.kind} index must come with it")
        else:
            known = dict(parameters or {})
            for name, value in known.items():
                if not isinstance(value, int) or value < 1:
                    raise BundleError(f"{value!r:.40} is no number of {name}")
            self._candidates = known.get("candidates", CANDIDATES)
            if self.kind == "ivf-rabitq":
                ivf = faiss.extract_index_ivf(self._index)
                self._lists = int(ivf.nlist)
                self._nprobe = min(known.get("nprobe", int(ivf.nprobe)), self._lists)
        self.vectors: np.ndarray = vectors

    @classmethod
    def build(cls, vectors: np.ndarray, plan: IndexPlan | None = None) -> VectorIndex:
        """Return an index of unit vectors (n, dim), float32 or float16, maybe memory-mapped.

        Without a plan the index is flat. Only the training sample and ROWS_AT_ONCE rows are
        float32 at once (a flat index, which is float32, apart). The same vectors and plan
        give the same bytes when saved. IndexKindError if the vectors do not fit the plan.
        """
        plan = plan or plan_index(vectors.shape[0], vectors.shape[1], kind="flat")
        if vectors.shape != (plan.n, plan.dim):
            raise IndexKindError(
                f"The {plan.kind} index was planned for {plan.n:,} vectors of {plan.dim} "
                f"components; {vectors.shape[0]:,} of {vectors.shape[1]} came. Plan it again "
                f"for what there is: plan_index(n, dim)."
            )
        index = faiss.index_factory(plan.dim, plan.factory, faiss.METRIC_INNER_PRODUCT)
        if plan.kind != "flat":
            if plan.kind == "ivf-rabitq":
                ivf = _untyped.downcast_index(faiss.extract_index_ivf(index))
                ivf.cp.seed = SEED
                ivf.cp.min_points_per_centroid = 1  # else FAISS warns on tiny libraries
                ivf.nprobe = plan.parameters["nprobe"]
            # The same rows every time.
            rng = np.random.default_rng(SEED)
            rows = np.sort(rng.choice(len(vectors), n_training(plan.n), replace=False))
            index.train(np.asarray(vectors[rows], np.float32))
        # In blocks of a fixed size: BLAS may round a row by the size of the block it comes in
        # (seen on a Zen processor), and with it the bytes of the index.
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            block = vectors[start : start + ROWS_AT_ONCE]
            index.add(np.ascontiguousarray(block, np.float32))
        return cls(index, vectors, plan.parameters)

    @classmethod
    def load(
        cls,
        path: Path,
        vectors: np.ndarray | None = None,
        parameters: Mapping[str, int] | None = None,
    ) -> VectorIndex:
        """Return the index in a file; BundleError if it is none that this program writes.

        FAISS reads the file only after its layout was checked: see faiss_file.py.
        """
        try:
            check_layout(path)
            return cls(faiss.read_index(str(path)), vectors, parameters)
        except (RuntimeError, ValueError, BundleError) as error:
            raise BundleError(
                f"{path} is no FAISS index that can be read ({reason_of(error)})"
            ) from error

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

    def search(
        self, query: np.ndarray, top_k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (scores float32, rows int64) of the top_k nearest rows, best first.

        `query` is a unit vector (dim,); `allowed`, bool (n,), excludes rows. Fewer than
        top_k come only if fewer are allowed. Equal scores come in the order of their rows.
        """
        n_allowed = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if n_allowed == len(self):
            allowed = None
        top_k = min(top_k, n_allowed)
        if not top_k:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        query = np.ascontiguousarray(query, np.float32)
        if allowed is not None and n_allowed <= MAX_EXHAUSTIVE:
            rows = np.flatnonzero(allowed)
            return _best(self.scores(query, rows), rows, top_k)
        # One more than asked for, to see whether the last one has equals that did not come.
        wanted = min(max(top_k + 1, self._candidates if self.kind != "flat" else 0), n_allowed)
        while True:
            scores, rows = self._candidate_rows(query, wanted, allowed)
            if self.kind != "flat":
                rows = np.sort(rows)  # adjacent rows lie side by side in the file
                scores = self.scores(query, rows)
            scores, rows = _best(scores, rows, len(rows))
            if wanted == n_allowed or self.kind != "flat" or scores[top_k - 1] > scores[-1]:
                return scores[:top_k], rows[:top_k]
            wanted = min(4 * wanted, n_allowed)

    def scores(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the exact score of each of the rows, float32 (n,)."""
        # Not a matrix product: its threads and FAISS's wait for each other's cores, and a query
        # takes 8 ms instead of 1.8 (two cores, 100,000 vectors). On one thread both are alike.
        vectors = np.asarray(self.vectors[rows], np.float32)
        return np.einsum("ij,j->i", vectors, np.asarray(query, np.float32))

    def _candidate_rows(
        self, query: np.ndarray, n: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return FAISS's (scores, rows) of n rows; searches more lists if too few are found."""
        # The selector reads the bitmap's memory: both must live until the search ends.
        bitmap = None if allowed is None else np.packbits(allowed, bitorder="little")
        selector = None if bitmap is None else _untyped.IDSelectorBitmap(bitmap)
        nprobe = self._nprobe
        while True:
            # Parameters of one call: threads share the index, so its own never change.
            if self.kind == "flat":
                parameters = _untyped.SearchParameters(sel=selector)
            else:
                make, lists = _untyped.RaBitQSearchParameters, {}
                if self.kind == "ivf-rabitq":
                    make, lists = _untyped.IVFRaBitQSearchParameters, {"nprobe": nprobe}
                parameters = _untyped.SearchParametersPreTransform(
                    index_params=make(qb=QUERY_BITS, sel=selector, **lists)
                )
            with _one_thread():
                scores, rows = self._index.search(query[None], n, params=parameters)
            if nprobe >= self._lists or rows[0, -1] >= 0:
                found = rows[0] >= 0
                return scores[0, found], rows[0, found]
            nprobe = min(4 * nprobe, self._lists)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let FAISS use this thread alone: for one query its others gain nothing on a free machine
    (1.3 instead of 1.2 ms, 100,000 vectors), and on a busy one they wait for each other (11 ms).
    """
    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(n_threads)


def map_vectors(path: Path, dim: int, dtype: Any = np.float16) -> np.ndarray:
    """Return the rows (n, dim) in a file of bare numbers, memory-mapped read-only."""
    vectors: np.memmap = np.memmap(path, dtype, "r")
    # Single rows are read here and there. With the usual read-ahead, a thousand rows that
    # were not in memory yet took 670 ms instead of 44.
    mapped = getattr(vectors, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_RANDOM"):  # not on Windows
        mapped.madvise(mmap.MADV_RANDOM)
    return vectors.reshape(-1, dim)


def _best(scores: np.ndarray, rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the n best scores and their rows; equal scores in the order of the rows."""
    order = np.lexsort((rows, -scores))[:n]
    return scores[order], rows[order]


def _kind_of(index: faiss.Index) -> str:
    if isinstance(index, faiss.IndexFlat):
        return "flat"
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else 0
    if isinstance(inner, faiss.IndexIVFRaBitQ):
        return "ivf-rabitq"
    if isinstance(inner, faiss.IndexRaBitQ):
        return "rabitq"
    raise BundleError(f"{type(index).__name__} is no index of a known kind")

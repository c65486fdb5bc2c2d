"""The vector index: FAISS, inner product over unit vectors. The one importer of faiss.

Exact (flat) for now; what it answers equals brute force (tested).
"""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np

from retrieval.errors import BundleError

KIND = "Flat"


class VectorIndex:
    """Row numbers of the nearest embeddings, best first."""

    def __init__(self, index: faiss.Index):
        self._index = index

    @classmethod
    def build(cls, vectors: np.ndarray) -> VectorIndex:
        """An exact index of unit vectors, float32 (n, dim); row i keeps number i."""
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, np.float32))
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> VectorIndex:
        """The index in a file; BundleError if FAISS cannot read it."""
        try:
            return cls(faiss.read_index(str(path)))
        except RuntimeError as error:
            raise BundleError(f"{path} is no FAISS index that can be read") from error

    def save(self, path: Path) -> None:
        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        return int(self._index.d)

    def search(self, queries: np.ndarray, top_k: int) -> tuple[np.ndarray, np.ndarray]:
        """(scores float32, rows int64), each (n_queries, min(top_k, len(self)))."""
        return self._index.search(np.ascontiguousarray(queries, np.float32), min(top_k, len(self)))

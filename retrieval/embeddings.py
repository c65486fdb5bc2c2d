"""Frame embeddings as Parquet shards: the source of truth that any index derives from.

A shard's rows are (gif_id, frame_index, time_ms, vector), float32, in the order of
the catalogue; the rows of all shards in name order are the rows of the index.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class FrameEmbeddings:
    """Aligned arrays, a row a frame; a GIF's rows follow one another."""

    gif_ids: np.ndarray  # (n,) str
    frame_indices: np.ndarray  # (n,) int32
    times_ms: np.ndarray  # (n,) int32
    vectors: np.ndarray  # (n, dim) float32, unit length

    def __len__(self) -> int:
        return len(self.vectors)

    def starts(self) -> np.ndarray:
        """Row at which each GIF's frames start, int64 (n_gifs,), in catalogue order."""
        first = np.ones(len(self), bool)
        first[1:] = self.gif_ids[1:] != self.gif_ids[:-1]
        return np.flatnonzero(first)


def write_shard(embeddings: FrameEmbeddings, path: Path) -> None:
    """Write one shard; lossless (float32)."""
    flat = pa.array(np.ascontiguousarray(embeddings.vectors, np.float32).reshape(-1))
    dim = embeddings.vectors.shape[1]
    table = pa.table(
        {
            "gif_id": pa.array(embeddings.gif_ids.tolist(), pa.string()),
            "frame_index": pa.array(embeddings.frame_indices, pa.int32()),
            "time_ms": pa.array(embeddings.times_ms, pa.int32()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, dim),
        }
    )
    pq.write_table(table, path, compression="zstd")


def read_shards(folder: Path) -> FrameEmbeddings:
    """All shards of the folder, in name order, as one."""
    table = pa.concat_tables(
        [pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))]
    )
    vector = table["vector"].combine_chunks()
    flat = vector.flatten().to_numpy(zero_copy_only=False)
    return FrameEmbeddings(
        gif_ids=np.array(table["gif_id"].to_pylist(), dtype=str),
        frame_indices=table["frame_index"].to_numpy().astype(np.int32),
        times_ms=table["time_ms"].to_numpy().astype(np.int32),
        vectors=flat.reshape(len(table), -1),
    )

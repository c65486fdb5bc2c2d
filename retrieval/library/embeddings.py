"""Frame embeddings as Parquet shards: the source of truth that any index derives from.

A shard's rows are (gif_id, frame_index, time_ms, vector), float32, the rows of a GIF
adjacent; the shards in name order hold the GIFs in catalogue order.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.library.parquet import as_numpy, read_columns

ROWS_PER_SHARD = 65_536  # 128 MB of 512 float32
OPEN_SHARDS = 4
GIFS_AT_ONCE = 4_096  # whose frames become float32 together: 64 MB of 8 frames of 512

SCHEMA_NAMES = ("gif_id", "frame_index", "time_ms", "vector")


@dataclass(frozen=True)
class FrameEmbeddings:
    """Aligned arrays, one row per frame; the rows of a GIF are adjacent."""

    gif_numbers: np.ndarray  # (n,) int32, ascending: the GIF's place in the catalogue
    frame_indices: np.ndarray  # (n,) int32
    times_ms: np.ndarray  # (n,) int32
    vectors: np.ndarray  # (n, dim) float32 of unit length, or float16 mapped from a file

    def __len__(self) -> int:
        return len(self.vectors)

    def starts(self) -> np.ndarray:
        """Return the row at which each GIF's frames start, int64 (n_gifs,)."""
        return _run_starts(self.gif_numbers)


def _run_starts(values: np.ndarray) -> np.ndarray:
    first = np.ones(len(values), bool)
    first[1:] = values[1:] != values[:-1]
    return np.flatnonzero(first)


def gif_blocks(
    vectors: np.ndarray, starts: np.ndarray, n: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (starts within the block, rows float32) of `n` GIFs at a time.

    `vectors` (n, dim) are the frames of all GIFs, in memory or memory-mapped; `starts`
    (n_gifs,) is the row at which each GIF's frames start.
    """
    ends = np.append(starts[1:], len(vectors))
    for first in range(0, len(starts), n):
        block = starts[first : first + n]
        rows = vectors[block[0] : ends[first + len(block) - 1]]
        yield block - block[0], np.asarray(rows, np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale rows to unit length; one without a direction stays near 0, not NaN."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def gif_means(vectors: np.ndarray, starts: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the unit mean of each GIF's frames, in blocks, float32 (at most GIFS_AT_ONCE, dim).

    `vectors` and `starts` as for `gif_blocks`.
    """
    for first_rows, rows in gif_blocks(vectors, starts, GIFS_AT_ONCE):
        yield unit(np.add.reduceat(rows, first_rows, axis=0))


@dataclass(frozen=True)
class GifFrames:
    """One GIF's rows."""

    gif_id: str
    frame_indices: np.ndarray  # (n,) int32
    times_ms: np.ndarray  # (n,) int32
    vectors: np.ndarray  # (n, dim) float32, unit length

    def __len__(self) -> int:
        return len(self.vectors)


def join(gifs: Sequence[GifFrames], dim: int) -> FrameEmbeddings:
    """Concatenate the GIFs' frames, in order, in memory."""
    lengths = [len(gif) for gif in gifs]
    return FrameEmbeddings(
        gif_numbers=np.repeat(np.arange(len(gifs), dtype=np.int32), lengths),
        frame_indices=np.concatenate([np.zeros(0, np.int32), *(g.frame_indices for g in gifs)]),
        times_ms=np.concatenate([np.zeros(0, np.int32), *(g.times_ms for g in gifs)]),
        vectors=np.concatenate([np.zeros((0, dim), np.float32), *(g.vectors for g in gifs)]),
    )


def write_shard(gifs: Iterable[GifFrames], dim: int, path: Path) -> None:
    """Write the GIFs' rows as one shard; lossless (float32)."""
    gifs = list(gifs)
    rows = join(gifs, dim)
    ids = np.repeat([gif.gif_id for gif in gifs], [len(gif) for gif in gifs])
    flat = pa.array(np.ascontiguousarray(rows.vectors, np.float32).reshape(-1))
    columns = (
        pa.array(ids.tolist(), pa.string()),
        pa.array(rows.frame_indices, pa.int32()),
        pa.array(rows.times_ms, pa.int32()),
        pa.FixedSizeListArray.from_arrays(flat, dim),
    )
    pq.write_table(pa.table(columns, names=SCHEMA_NAMES), path, compression="zstd")


def read_shard(path: Path) -> FrameEmbeddings:
    """Return one shard's rows, without the GIFs that they belong to."""
    table = read_columns(path, SCHEMA_NAMES[1:])
    return _rows_of(table, np.zeros(len(table), np.int32))


def shards_in(folder: Path) -> list[Path]:
    """The shards, in the order of their rows."""
    return sorted(folder.glob("part-*.parquet"))


def read_embeddings(
    folder: Path, ids: Sequence[str], vectors: np.ndarray | None = None
) -> FrameEmbeddings:
    """Return all rows of the shards; `ids` are the GIFs in catalogue order.

    `vectors`, if given, replace those of the shards, which are then not read.
    ValueError if the shards hold other GIFs, or in another order.
    """
    columns = SCHEMA_NAMES if vectors is None else SCHEMA_NAMES[:3]
    tables = [
        # ids as a dictionary: a row costs 4 bytes, not 64
        read_columns(path, columns, ["gif_id"])
        for path in shards_in(folder)
    ]
    table = pa.concat_tables(tables)
    names, starts = _runs(table)
    if names != list(ids):
        raise ValueError("the embeddings are of other GIFs than the catalogue")
    if vectors is not None and len(vectors) != len(table):
        raise ValueError(f"{len(vectors):,} vectors of {len(table):,} frames")
    lengths = np.diff([*starts, len(table)])
    numbers = np.repeat(np.arange(len(names), dtype=np.int32), lengths)
    return _rows_of(table, numbers, vectors)


def _rows_of(
    table: pa.Table, gif_numbers: np.ndarray, vectors: np.ndarray | None = None
) -> FrameEmbeddings:
    if vectors is None:
        if table["vector"].type.value_type != pa.float32():
            raise ValueError(f"the vectors are {table['vector'].type}")
        vectors = as_numpy(table["vector"].combine_chunks().flatten()).reshape(len(table), -1)
    indices, times = (as_numpy(table[name]).astype(np.int32) for name in SCHEMA_NAMES[1:3])
    return FrameEmbeddings(gif_numbers, indices, times, vectors)


def read_frame_indices(folder: Path) -> dict[str, np.ndarray]:
    """Return the int32 indices of the embedded frames by GIF id, without reading vectors."""
    indices: dict[str, np.ndarray] = {}
    for path in shards_in(folder):
        table = read_columns(path, ["gif_id", "frame_index"], ["gif_id"])
        names, starts = _runs(table)
        parts = np.split(as_numpy(table["frame_index"]).astype(np.int32), starts[1:])
        indices |= dict(zip(names, parts, strict=True)) if names else {}
    return indices


def _runs(table: pa.Table) -> tuple[list[str], list[int]]:
    """(gif ids, the row at which each one's frames start); ids come as a dictionary."""
    column = table["gif_id"].unify_dictionaries().combine_chunks()
    codes = as_numpy(column.indices)
    starts = _run_starts(codes)
    names = column.dictionary.to_pylist()
    return [names[code] for code in codes[starts].tolist()], starts.tolist()


class ShardStore:
    """Random access to the rows of any GIF in many shards, a few of them held in memory.

    Fast when GIFs are requested in about the order of the shards.
    """

    def __init__(self, dim: int | None = None) -> None:
        self._dim = dim  # that all vectors have; None: any
        self._where: dict[str, tuple[int, int, int]] = {}  # id → shard, start, stop
        self._paths: list[Path] = []
        self._open: OrderedDict[int, FrameEmbeddings] = OrderedDict()

    def add(self, path: Path) -> None:
        """Add a shard; its rows of a GIF replace those of earlier shards.

        ValueError if it is no shard with vectors of this dim.
        """
        with pq.ParquetFile(path, read_dictionary=["gif_id"]) as file:
            schema = file.schema_arrow
            types = dict(zip(schema.names, schema.types, strict=True))
            if not types.keys() >= set(SCHEMA_NAMES):
                raise ValueError(f"no shard; its columns are {', '.join(schema.names)}")
            if self._dim and types["vector"] != pa.list_(pa.float32(), self._dim):
                raise ValueError(f"no shard of dim {self._dim}; its vectors are {types['vector']}")
            table = file.read(columns=["gif_id"])
        names, starts = _runs(table)
        stops = [*starts[1:], len(table)]
        for name, start, stop in zip(names, starts, stops, strict=True):
            self._where[name] = (len(self._paths), start, stop)
        self._paths.append(path)

    def __contains__(self, gif_id: str) -> bool:
        return gif_id in self._where

    def __getitem__(self, gif_id: str) -> GifFrames:
        shard, start, stop = self._where[gif_id]
        if shard not in self._open:
            self._open[shard] = read_shard(self._paths[shard])
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)
        self._open.move_to_end(shard)
        rows = self._open[shard]
        columns = (rows.frame_indices, rows.times_ms, rows.vectors)
        return GifFrames(gif_id, *(column[start:stop] for column in columns))

"""Read Parquet files without pandas.

Three calls of pyarrow import pandas where it is installed, as it is beside Streamlit: `read_table`
(through pyarrow.dataset), `pyarrow.array` and `to_numpy`. That is half a second and 60 MB at the
start of a server that needs none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def read_columns(path: Path, columns: Sequence[str], dictionary: Sequence[str] = ()) -> pa.Table:
    """Return these columns of one file; those in `dictionary` as dictionaries."""
    with pq.ParquetFile(path, read_dictionary=list(dictionary)) as file:
        return file.read(columns=list(columns))


def as_numpy(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers without nulls as an array, (n,), read-only, without a copy of one
    chunk.

    The DLPack protocol says nothing of nulls: pyarrow raises a TypeError for them.
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.from_dlpack(whole) if len(whole) else np.zeros(0, whole.type.to_pandas_dtype())

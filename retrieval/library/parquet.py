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

MIN_LIMIT = 100_000  # bytes: the description of a small table


def read_columns(path: Path, columns: Sequence[str], dictionary: Sequence[str] = ()) -> pa.Table:
    """Return these columns of one file; those in `dictionary` as dictionaries.

    ValueError if the file claims more rows than it has bytes: a row of ours has an id, which is a
    hash. How much one of a stranger's pages unpacks to is only known by unpacking it.
    """
    size = max(path.stat().st_size, MIN_LIMIT)
    with pq.ParquetFile(
        path,
        read_dictionary=list(dictionary),
        thrift_string_size_limit=size,
        thrift_container_size_limit=size,
    ) as file:
        if file.metadata.num_rows > size:
            raise ValueError(f"{file.metadata.num_rows:,} rows in {size:,} bytes")
        return file.read(columns=list(columns))


def check_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table in the types of a schema; ValueError if it does not fit, or has nulls."""
    table = table.cast(pa.schema([schema.field(name) for name in table.column_names]))
    for name in table.column_names:
        arrays = [table[name].combine_chunks()]
        while arrays:
            array = arrays.pop()
            if pa.types.is_list(array.type):  # no list is an empty one
                arrays.append(array.flatten())
            elif array.null_count:
                raise ValueError(f"no value in a row of {name}")
            elif pa.types.is_struct(array.type):
                arrays += array.flatten()
    return table


def as_numpy(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers without nulls as an array, (n,), read-only, without a copy of one
    chunk.

    The DLPack protocol says nothing of nulls: pyarrow raises a TypeError for them.
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.from_dlpack(whole) if len(whole) else np.zeros(0, whole.type.to_pandas_dtype())

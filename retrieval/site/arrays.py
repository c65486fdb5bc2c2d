"""Arrays in one file, as a browser's typed arrays read them, and vectors in eight bits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ALIGNED = 4  # bytes: where a Float32Array or Int32Array may start
STEPS = 127  # of an int8 on either side of 0
# What frontend/engine/arrays.js reads.
DTYPES = {"float32", "float16", "int32", "uint8", "int8"}


def in_eight_bits(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors (n, dim) as int8, and the float32 factor of each row, (n,).

    The largest component of a row becomes 127 or -127; a row of zeros has factor 0.

    >>> rows, scales = in_eight_bits(np.array([[0.6, -0.8]]))
    >>> rows.tolist(), np.allclose(rows * scales[:, None], [[0.6, -0.8]], atol=0.01)
    ([[95, -127]], True)
    """
    vectors = np.asarray(vectors, np.float32)
    scales = np.abs(vectors).max(axis=1, initial=0) / STEPS
    rows = np.rint(vectors / np.maximum(scales, 1e-12)[:, None]).astype(np.int8)
    return rows, scales.astype(np.float32)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Write arrays one after the other, little-endian; returns size, hash and where each lies.

    `at` is in bytes, a multiple of 4. ValueError for a type that the engine does not read.
    """
    parts, layout, at = list[bytes](), list[dict[str, Any]](), 0
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES:
            raise ValueError(f"{name} is {array.dtype.name}; expected one of {sorted(DTYPES)}")
        layout.append(
            {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "at": at}
        )
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        data += bytes(-len(data) % ALIGNED)
        parts.append(data)
        at += len(data)
    return {**write_bytes(path, b"".join(parts)), "arrays": layout}


def read_arrays(path: Path, layout: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The arrays of a file that `write_arrays` wrote, by its `arrays`."""
    data = path.read_bytes()
    arrays = {}
    for facts in layout:
        dtype, shape = np.dtype(facts["dtype"]).newbyteorder("<"), facts["shape"]
        values = np.frombuffer(data, dtype, int(np.prod(shape)), facts["at"])
        arrays[facts["name"]] = values.reshape(shape)
    return arrays


def write_bytes(path: Path, data: bytes) -> dict[str, Any]:
    """Write a file; returns its size and hash, as data.json lists them."""
    path.write_bytes(data)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

"""Check the layout of a FAISS file before FAISS reads it: every count against what is there.

FAISS believes the counts in a file: a hostile one, with a hash that fits a stranger's manifest,
could have it reserve gigabytes, or have a search read rows that are not there. The three kinds of
index that this program writes (index_plan.py) are walked here from the first byte to the last;
any other kind is refused unread. What cannot be checked are the values of vectors and codes: wrong
ones give wrong candidates.

The layout is that of faiss/impl/index_write.cpp (FAISS 1.11 to 1.15), little-endian:

    flat         "IxFI" header, floats
    rabitq       "IxPT" header, 1, rotation, then "Ixrq" header, quantizer, codes, centre, bits
    ivf-rabitq   "IxPT" header, 1, rotation, then "Iwrq" header, lists, probes, flat index of the
                 centroids, no direct map, quantizer, code size, residual, bits, inverted lists
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

INNER_PRODUCT = 0
MAX_DIM = 65_536
FACTOR_BYTES = 8  # of a RaBitQ code: two float32 beside a bit a component


def check_layout(path: Path) -> None:
    """ValueError if the file is no index of a known kind, or one of its counts is wrong."""
    size = path.stat().st_size
    walk = _Walk(np.memmap(path, np.uint8, "r") if size else np.zeros(0, np.uint8))
    name = walk.fourcc()
    if name == "IxFI":
        walk.flat()
    elif name == "IxPT":
        walk.rotated()
    else:
        raise ValueError(f"{name!r} is no index of a known kind")
    if walk.at != size:
        raise ValueError(f"{size - walk.at:,} bytes after its end")


class _Walk:
    """A position in a file's bytes."""

    def __init__(self, data: np.ndarray):
        self._data = data
        self.at = 0

    def _take(self, n: int) -> np.ndarray:
        if not 0 <= n <= len(self._data) - self.at:
            raise ValueError(f"it ends before its {n:,} bytes from {self.at:,}")
        self.at += n
        return self._data[self.at - n : self.at]

    def _number(self, kind: str) -> int:
        (value,) = struct.unpack(f"<{kind}", self._take(struct.calcsize(f"<{kind}")).tobytes())
        return int(value)

    def _expect(self, what: str, expected: int, kind: str = "Q") -> None:
        found = self._number(kind)
        if found != expected:
            raise ValueError(f"{found:,} as its {what}; expected {expected:,}")

    def _skip(self, what: str, n: int, item_bytes: int) -> None:
        """Skip an array, whose length comes before it."""
        self._expect(f"number of {what}", n)
        self._take(n * item_bytes)

    def fourcc(self) -> str:
        return self._take(4).tobytes().decode("latin-1")

    def header(self) -> tuple[int, int]:
        """Return (dim, number of vectors)."""
        dim, n = self._number("i"), self._number("q")
        self._take(16)  # not used
        self._expect("mark of being trained", 1, "B")
        self._expect("metric", INNER_PRODUCT, "i")
        if not 0 < dim <= MAX_DIM or n < 1:
            raise ValueError(f"{n:,} vectors of {dim:,} components")
        return dim, n

    def flat(self) -> tuple[int, int]:
        dim, n = self.header()
        self._skip("components", n * dim, 4)
        return dim, n

    def rotated(self) -> None:
        shape = dim, n = self.header()
        self._expect("number of transformations", 1, "i")
        if (name := self.fourcc()) != "rrot":
            raise ValueError(f"{name!r} is no random rotation")
        self._expect("mark of a bias", 0, "B")
        self._skip("components of the rotation", dim * dim, 4)
        self._skip("components of the bias", 0, 4)
        for what in ("dimensions before", "dimensions after"):
            self._expect(what, dim, "i")
        self._expect("mark of being trained", 1, "B")
        name = self.fourcc()
        if name not in ("Ixrq", "Iwrq"):
            raise ValueError(f"{name!r} is no index of a known kind")
        if self.header() != shape:
            raise ValueError("an index of another shape within it")
        code_bytes = (dim + 7) // 8 + FACTOR_BYTES
        if name == "Iwrq":
            self._inverted_lists(dim, n, code_bytes)
            return
        self._quantizer(dim, code_bytes)
        self._skip("bytes of codes", n * code_bytes, 1)
        self._skip("components of the centre", dim, 4)
        self._bits()

    def _quantizer(self, dim: int, code_bytes: int) -> None:
        self._expect("dimensions of the codes", dim)
        self._expect("bytes of a code", code_bytes)
        self._expect("metric of the codes", INNER_PRODUCT, "i")

    def _bits(self) -> None:
        bits = self._number("B")  # of a query; a search names its own
        if bits > 8:
            raise ValueError(f"{bits} bits a query")

    def _inverted_lists(self, dim: int, n: int, code_bytes: int) -> None:
        n_lists, n_probes = self._number("Q"), self._number("Q")
        if not 0 < n_probes <= n_lists <= n:
            raise ValueError(f"{n_probes:,} of {n_lists:,} lists for {n:,} vectors")
        if self.fourcc() != "IxFI" or self.flat() != (dim, n_lists):
            raise ValueError("centroids of another shape")
        self._expect("kind of direct map", 0, "B")
        self._expect("length of the direct map", 0)
        self._quantizer(dim, code_bytes)
        self._expect("bytes of a code", code_bytes)
        self._expect("mark of residuals", 1, "B")
        self._bits()
        if (name := self.fourcc()) != "ilar":
            raise ValueError(f"{name!r} are no inverted lists of a known kind")
        self._expect("number of lists", n_lists)
        self._expect("bytes of a code", code_bytes)
        rows = [np.zeros(0, np.int64)]
        for size in self._list_sizes(n_lists):
            self._take(size * code_bytes)
            rows.append(self._take(size * 8).view("<i8"))
        found = np.concatenate(rows)
        if len(found) != n or not np.array_equal(np.sort(found), np.arange(n)):
            raise ValueError(f"lists that do not hold each of {n:,} rows once")

    def _list_sizes(self, n_lists: int) -> list[int]:
        name = self.fourcc()
        n = self._number("Q")
        if name == "full" and n == n_lists:
            return self._take(8 * n).view("<u8").tolist()
        if name != "sprs" or n % 2 or n > 2 * n_lists:
            raise ValueError(f"{n:,} sizes of {n_lists:,} lists, {name!r}")
        pairs = self._take(8 * n).view("<u8").reshape(-1, 2)
        numbers = pairs[:, 0]
        if len(numbers) and (numbers[-1] >= n_lists or (np.diff(numbers.astype(float)) <= 0).any()):
            raise ValueError("sizes of lists that are not there")
        return pairs[:, 1].tolist()

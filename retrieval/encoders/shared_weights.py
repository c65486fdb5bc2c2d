"""Store the weights of exported towers without copying those of the checkpoint's own files.

OpenVINO writes each tower's weights to a file of its own. Constants that a safetensors file of
the checkpoint holds bit for bit become references into that file, the rest goes to weights.bin.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from retrieval.encoders.openvino import TOWERS, WEIGHTS, Piece

MIN_SHARED_BYTES = 1_024


def share_weights(out: Path, home: Path | None) -> dict[str, list[Piece]]:
    """Replace the towers' weight files by slices of the checkpoint's files and weights.bin."""
    held = dict(_tensors_in(home, out)) if home else {}
    pieces: dict[str, list[Piece]] = {}
    with (out / WEIGHTS).open("wb") as rest:
        for tower in TOWERS:
            file = out / f"{tower}.bin"
            data = file.read_bytes()
            constants = re.findall(
                r'offset="(\d+)" size="(\d+)"', (out / f"{tower}.xml").read_text("utf-8")
            )
            cuts = sorted({(int(at), int(size)) for at, size in constants})
            found: list[Piece] = []
            at = 0
            for start, size in [*cuts, (len(data), 0)]:
                if start > at:  # padding between two constants
                    found.append(_kept(data[at:start], rest))
                    at = start
                if start < at or not size:
                    continue
                value = data[start : start + size]
                known = held.get(sha256(value).digest()) if size >= MIN_SHARED_BYTES else None
                found.append(known or _kept(value, rest))
                at = start + size
            pieces[tower] = _joined(found)
            file.unlink()
    return pieces


def _kept(value: bytes, rest: Any) -> Piece:
    at = rest.tell()
    rest.write(value)
    return Piece(WEIGHTS, at, len(value))


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Merge slices that are adjacent in the same file."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last and last.file == piece.file and last.at + last.size == piece.at:
            joined[-1] = Piece(last.file, last.at, last.size + piece.size)
        else:
            joined.append(piece)
    return joined


def _tensors_in(home: Path, out: Path) -> Iterator[tuple[bytes, Piece]]:
    """Yield (digest of a tensor's bytes, their slice) for the safetensors files in `home`."""
    for file in sorted(home.glob("*.safetensors")):
        data = file.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        name = os.path.relpath(file, out)
        for tensor in json.loads(data[8 : 8 + length]).values():
            if "data_offsets" in tensor:
                start, end = (8 + length + offset for offset in tensor["data_offsets"])
                yield sha256(data[start:end]).digest(), Piece(name, start, end - start)

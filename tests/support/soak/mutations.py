"""Damage media files as accidents and fuzzers do: bits, runs, cuts, splices, lengths, copies."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence

SIZES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


def mutants(
    files: Sequence[tuple[str, bytes]], count: int, seed: int
) -> Iterator[tuple[str, bytes]]:
    """(suffix, bytes) of `count` damaged files, always the same for a seed."""
    chance = random.Random(seed)
    bodies = [data for _, data in files]
    for number in range(count):
        suffix, data = files[number % len(files)]
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            data = chance.choice(MUTATIONS)(data, chance, bodies) or b"\0"
        yield suffix, data


def flip_bits(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20))):
        changed[_place(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwrite_run(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    at, length = _place(data, chance), chance.choice((1, 4, 16, 200))
    filling = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))
    return data[:at] + filling + data[at + length :]


def truncate(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    return data[: _place(data, chance)]


def splice(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """The start of one file and the end of another."""
    other = chance.choice(others)
    return data[: _place(data, chance)] + other[_place(other, chance) :]


def set_length(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """A two- or four-byte number, of either order, such as a size in a header."""
    form = chance.choice((">I", "<I", ">H", "<H"))
    value = chance.choice(SIZES) & (0xFFFFFFFF if form[1] == "I" else 0xFFFF)
    at = _place(data, chance)
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


def repeat_part(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """A stretch of the file again behind itself: chunks, frames, boxes."""
    start, end = sorted((_place(data, chance), _place(data, chance)))
    return data[:end] + data[start:end] * chance.choice((1, 2, 50)) + data[end:]


def remove_part(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    start = _place(data, chance)
    return data[:start] + data[start + chance.choice((1, 8, 100)) :]


def _place(data: bytes, chance: random.Random) -> int:
    """A position in the file; every second time in its first 200 bytes, where headers are."""
    end = len(data) if chance.random() < 0.5 else min(len(data), 200)
    return chance.randrange(max(1, end))


Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
MUTATIONS: tuple[Mutation, ...] = (
    *(flip_bits, overwrite_run, truncate, splice, set_length, repeat_part, remove_part),
)

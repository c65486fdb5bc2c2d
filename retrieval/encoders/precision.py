"""Choose between float32 and bfloat16 by timing both on this machine.

A processor that lists bfloat16 is not always faster in it: an AMD EPYC with AVX-512 BF16 and
without AMX has computed ViT-B-32 at half its float32 rate, and another one at twice. So
`precision="auto"` runs both for a moment and takes bfloat16 only if it is faster by more than
the noise of the measurement and gives the same embeddings. The result is kept in the user's
cache, for each machine, runtime version and checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from retrieval.paths import user_cache, write_json

SAME_EMBEDDING = 0.995  # least cosine of a bfloat16 embedding to its float32 one
MIN_SPEEDUP = 1.05  # medians of the same program differ by up to 4 % from run to run
MIN_ROUNDS, MAX_ROUNDS = 3, 9
CLEAR_SPEEDUP = 1.25  # enough, in every round, to stop after MIN_ROUNDS
BUDGET_S = 3.0  # for the timed rounds; a slow machine still makes MIN_ROUNDS
ROUND_S = 0.5  # of one precision in one round, about: larger models get fewer pictures

Encode = Callable[[np.ndarray], np.ndarray]  # prepared pictures, uint8 → unit embeddings


@dataclass(frozen=True)
class PrecisionMeasurement:
    """The rates of both precisions, in pictures a second, and how well they agree."""

    float32_per_s: float
    bfloat16_per_s: float
    speedup: float  # of bfloat16: median over the rounds
    cosine: float  # least, of bfloat16 embeddings to float32 ones

    @property
    def precision(self) -> str:
        faster = self.speedup >= MIN_SPEEDUP and self.cosine >= SAME_EMBEDDING
        return "bfloat16" if faster else "float32"

    def __str__(self) -> str:
        text = (
            f"bfloat16: {self.bfloat16_per_s:.0f} pictures/s, "
            f"float32: {self.float32_per_s:.0f}: {self.precision} is used"
        )
        if self.cosine < SAME_EMBEDDING:
            text += f" (the embeddings differ: cosine {self.cosine:.3f}, expected {SAME_EMBEDDING})"
        return text


def measure_precision(
    float32: Encode, bfloat16: Encode, pixels: np.ndarray
) -> PrecisionMeasurement:
    """Time both encoders on the same pictures, taking turns.

    Other programs slow both down alike, and each round's ratio compares neighbours in time.
    """
    warm_up_s = 0.0
    for encode in (float32, bfloat16):  # the first call allocates, the second is like the rest
        encode(pixels)
        start = time.perf_counter()
        encode(pixels)
        warm_up_s = max(warm_up_s, time.perf_counter() - start)
    smallest = max(1, len(pixels) // 8)
    pixels = pixels[: max(smallest, min(len(pixels), int(len(pixels) * ROUND_S / warm_up_s)))]
    exact, rounded = float32(pixels), bfloat16(pixels)
    seconds: dict[Encode, list[float]] = {float32: [], bfloat16: []}
    ratios: list[float] = []
    end = time.perf_counter() + BUDGET_S
    while len(ratios) < MAX_ROUNDS and (len(ratios) < MIN_ROUNDS or time.perf_counter() < end):
        turns = (float32, bfloat16) if len(ratios) % 2 else (bfloat16, float32)
        for encode in turns:
            start = time.perf_counter()
            encode(pixels)
            seconds[encode].append(time.perf_counter() - start)
        ratios.append(seconds[float32][-1] / seconds[bfloat16][-1])
        if len(ratios) >= MIN_ROUNDS and (
            min(ratios) > CLEAR_SPEEDUP or max(ratios) < 1 / CLEAR_SPEEDUP
        ):
            break
    return PrecisionMeasurement(
        float32_per_s=len(pixels) / statistics.median(seconds[float32]),
        bfloat16_per_s=len(pixels) / statistics.median(seconds[bfloat16]),
        speedup=statistics.median(ratios),
        cosine=float((exact * rounded).sum(axis=1).min()),
    )


def cached_precision(
    fingerprint: str, runtime: str, measure: Callable[[], PrecisionMeasurement]
) -> PrecisionMeasurement:
    """Return the measurement of this machine and checkpoint; measure it if there is none.

    `runtime` names what computes, and its version: "OpenVINO 2026.1". A file in the cache that
    cannot be read, or holds anything else, is measured again; a cache that cannot be written
    is done without.
    """
    machine = describe_machine()
    key = hashlib.sha256("\n".join((fingerprint, runtime, machine)).encode()).hexdigest()
    file = user_cache() / "precision" / f"{key[:32]}.json"
    with suppress(OSError, ValueError, TypeError, RecursionError):
        known = PrecisionMeasurement(**json.loads(file.read_text(encoding="utf-8")))
        values = asdict(known).values()
        if all(isinstance(v, float) and math.isfinite(v) and v > -1.1 for v in values):
            return known
    known = measure()
    with suppress(OSError):
        write_json(file, asdict(known))
    return known


def describe_machine() -> str:
    """Processor model, its features, and how many cores this process may use."""
    lines = [platform.machine(), platform.processor(), f"{usable_cores()} cores"]
    with suppress(OSError):
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        facts = ("model name", "cpu family", "model\t", "stepping", "flags", "Features")
        first = cpuinfo.partition("\n\n")[0].splitlines()
        lines += [line for line in first if line.startswith(facts)]
    return "\n".join(lines)


def usable_cores() -> int:
    """How many cores this process may use, which a container can restrict."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

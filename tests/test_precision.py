"""Auto precision follows a measurement, which is kept for each machine and checkpoint."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_exported import tiny, traced  # noqa: F401

from retrieval.encoders import precision
from retrieval.encoders.load import load_encoder
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.openvino import ExportedEncoder
from retrieval.encoders.precision import (
    PrecisionMeasurement,
    cached_precision,
    measure_precision,
)

PIXELS = np.zeros((32, 4, 4, 3), np.uint8)
BF16_FASTER = PrecisionMeasurement(17.0, 35.0, 2.06, 0.9999)
BF16_SLOWER = PrecisionMeasurement(17.0, 9.0, 0.53, 0.9999)


class Clock:
    """Time that passes only while an encoder is at work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = 0.0
        monkeypatch.setattr(precision.time, "perf_counter", lambda: self.now)

    def encoder(self, *picture_s: float, row: tuple[float, ...] = (1.0, 0.0)) -> Callable:
        """An encoder that takes these seconds a picture, call by call, over and over."""
        costs = itertools.cycle(picture_s)

        def encode(pixels: np.ndarray) -> np.ndarray:
            self.now += next(costs) * len(pixels)
            return np.array([row] * len(pixels), np.float32)

        return encode


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(precision, "user_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "precision"


@pytest.mark.parametrize(
    ("float32_s", "bfloat16_s", "expected"),
    [
        ((0.010,), (0.005,), "bfloat16"),
        ((0.010,), (0.020,), "float32"),
        ((0.010,), (0.010,), "float32"),
        ((0.010,), (0.0098,), "float32"),  # 2 %: noise
        ((0.010, 0.013, 0.009), (0.010, 0.008, 0.012), "float32"),  # as fast, but noisy
        ((0.010, 0.010, 0.010, 0.5), (0.006, 0.006, 0.006, 0.006), "bfloat16"),  # one interruption
    ],
)
def test_bfloat16_is_chosen_only_if_it_is_faster_by_more_than_noise(
    monkeypatch, float32_s, bfloat16_s, expected
):
    clock = Clock(monkeypatch)
    measured = measure_precision(clock.encoder(*float32_s), clock.encoder(*bfloat16_s), PIXELS)
    assert measured.precision == expected


def test_bfloat16_is_rejected_if_its_embeddings_differ(monkeypatch):
    clock = Clock(monkeypatch)
    other = clock.encoder(0.001, row=(0.99, 0.14))
    measured = measure_precision(clock.encoder(0.010), other, PIXELS)
    assert (measured.speedup > 5, measured.precision) == (True, "float32")
    assert str(measured).endswith(
        "float32 is used (the embeddings differ: cosine 0.990, expected 0.995)"
    )


def test_a_slow_encoder_is_timed_on_fewer_pictures(monkeypatch):
    clock = Clock(monkeypatch)
    measure_precision(clock.encoder(1.0), clock.encoder(2.0), PIXELS)
    whole_rounds = 2 * 3 * len(PIXELS)  # two warm-up calls of each
    assert clock.now <= whole_rounds + (1 + precision.MIN_ROUNDS) * 3 * 4


def test_measurement_is_kept_until_machine_runtime_or_checkpoint_change(monkeypatch, cache: Path):
    results = iter([BF16_FASTER, BF16_SLOWER, BF16_FASTER, BF16_SLOWER])
    measure = lambda: next(results)  # noqa: E731
    assert cached_precision("a", "OpenVINO 1", measure) == BF16_FASTER
    assert cached_precision("a", "OpenVINO 1", measure) == BF16_FASTER
    assert cached_precision("b", "OpenVINO 1", measure) == BF16_SLOWER
    assert cached_precision("a", "OpenVINO 2", measure) == BF16_FASTER
    monkeypatch.setattr(precision, "describe_machine", lambda: "another processor")
    assert cached_precision("a", "OpenVINO 1", measure) == BF16_SLOWER
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"{}",
        b'{"precision": "bfloat16"}',
        b'{"float32_per_s": "17", "bfloat16_per_s": 9.0, "speedup": 2.0, "cosine": 1.0}',
        b'{"float32_per_s": NaN, "bfloat16_per_s": 9.0, "speedup": 2.0, "cosine": 1.0}',
        b"[" * 100_000,
    ],
)
def test_damaged_cache_is_measured_again(cache: Path, content: bytes):
    cached_precision("a", "r", lambda: BF16_FASTER)
    (file,) = cache.iterdir()
    file.write_bytes(content)
    assert cached_precision("a", "r", lambda: BF16_SLOWER) == BF16_SLOWER
    assert json.loads(file.read_text())["speedup"] == BF16_SLOWER.speedup


def test_unusable_cache_is_done_without(cache: Path):
    cache.parent.write_text("a file where the folder should be")
    assert cached_precision("a", "r", lambda: BF16_FASTER) == BF16_FASTER


@pytest.mark.parametrize("measured", [BF16_FASTER, BF16_SLOWER])
def test_both_encoders_follow_the_measurement_and_explain_it(
    tiny: Path,  # noqa: F811
    monkeypatch,
    measured: PrecisionMeasurement,
):
    monkeypatch.setattr(ExportedEncoder, "_measure", lambda self: measured)
    monkeypatch.setattr(OpenClipEncoder, "_measure", lambda self: measured)
    for runtime, encoder in (
        (ExportedEncoder, "retrieval.encoders.openvino"),
        (OpenClipEncoder, "retrieval.encoders.open_clip"),
    ):
        monkeypatch.setattr(f"{encoder}.cached_precision", lambda f, r, measure: measure())
        monkeypatch.setattr(runtime, "_has_bfloat16", lambda self: True)
    for runtime in ("exported", "torch"):
        chosen = load_encoder(f"local-dir:{tiny}", precision="auto", runtime=runtime)
        assert (chosen.precision, chosen.precision_note) == (measured.precision, str(measured))
        assert chosen.encode_pixels(np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, 16)
        fixed = load_encoder(f"local-dir:{tiny}", precision="bfloat16", runtime=runtime)
        assert (fixed.precision, fixed.precision_note) == ("bfloat16", "")


def test_both_encoders_measure_themselves(tiny: Path):  # noqa: F811
    for runtime in ("exported", "torch"):
        encoder = load_encoder(f"local-dir:{tiny}", runtime=runtime)
        measured = encoder._measure()
        assert measured.float32_per_s > 0 and measured.bfloat16_per_s > 0
        assert 0.99 < measured.cosine < 1.0001
        assert encoder.precision == "float32"


def test_report_text_names_both_rates():
    assert str(BF16_FASTER) == "bfloat16: 35 pictures/s, float32: 17: bfloat16 is used"
    assert str(BF16_SLOWER) == "bfloat16: 9 pictures/s, float32: 17: float32 is used"

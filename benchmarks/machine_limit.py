"""The limit of this machine: the rate of pure matrix products, and what a picture needs."""

from __future__ import annotations

import time

import numpy as np

from retrieval.encoders import probe_pixels
from retrieval.encoders.open_clip import OpenClipEncoder

SIDE = 2_048


def matmul_gflops(precision: str, seconds: float = 0.5) -> float:
    """Best 10⁹ floating-point operations a second of a 2,048² product, on all cores.

    `precision` is float32 or bfloat16, computed by OpenVINO, as the exported encoder is;
    int8 is answered with bfloat16's, for its operations are not floating-point.
    """
    import openvino as ov
    from openvino import opset13 as ops

    rows = ops.parameter([SIDE, SIDE], np.float32)
    weights = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    model = ov.Model([ops.matmul(rows, ops.constant(weights), False, True)], [rows])
    hint = "f32" if precision == "float32" else "bf16"
    product = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    product(weights)
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        product(weights)
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best / 1e9


def image_gflop(checkpoint: str) -> float:
    """10⁹ floating-point operations (two a multiplication) of embedding one picture."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    encoder = OpenClipEncoder(checkpoint)
    torch.backends.mha.set_fastpath_enabled(False)  # its fused attention is not counted
    with FlopCounterMode(display=False) as counter:
        encoder.encode_pixels(probe_pixels(encoder.prepare.size, 1))
    return float(counter.get_total_flops() / 1e9)

"""Distinct frames of a file, decoded and prepared in a sandbox.

What a worker answers is checked as if the file had written it: a decoder may have been taken
over. So it can give wrong pixels, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from retrieval.encoders import Preprocess
from retrieval.errors import MediaError
from retrieval.media import (
    DEFAULT_FRAMES,
    Facts,
    Limits,
    Stop,
    media_job,
    read_bytes,
    shared_sandbox,
)
from retrieval.ocr import STILL_SIDE
from retrieval.sandbox import INVALID, Block, Part, Sandbox

TASK = "retrieval.decoding.tasks:frames"
MAX_TIME_MS = 2**31 - 1  # embeddings keep times in 32 bits

Prepare = Callable[[Image.Image], np.ndarray]  # Encoder.prepare


@dataclass(frozen=True)
class DecodedFrame:
    """A frame as the encoder takes it, and as the reader of words does (or None)."""

    index: int
    time_ms: int
    pixels: np.ndarray
    to_read: np.ndarray | None


@dataclass(frozen=True)
class Decoded:
    """The distinct frames of a file, in order of time."""

    frames: tuple[DecodedFrame, ...]
    facts: Facts
    cpu_s: float  # of the worker

    @property
    def to_read(self) -> list[tuple[int, int, np.ndarray]]:
        """The frames as `TextReader.read` takes them."""
        return [
            (frame.index, frame.time_ms, frame.to_read)
            for frame in self.frames
            if frame.to_read is not None
        ]


def decode_frames(
    data: bytes,
    prepare: Prepare,
    n: int = DEFAULT_FRAMES,
    limits: Limits | None = None,
    stop: Stop | None = None,
    *,
    to_read: bool = False,
    sandbox: Sandbox | None = None,
) -> Decoded:
    """Decode at most `n` distinct frames in a worker process (default: of the shared sandbox).

    A Preprocess is applied in the worker. For any other `prepare`, the frames come in full size,
    and it is called here. With `to_read`, the pictures for TextReader come as well.

    MediaError if the file is over a limit, damaged, or brings the decoder to crash; StoppedError
    soon after `stop` returns True. Errors of `prepare` propagate unchanged.
    """
    limits = limits or Limits()
    in_worker = prepare if isinstance(prepare, Preprocess) else None
    n_pixels = in_worker.size[0] * in_worker.size[1] if in_worker else limits.max_pixels
    fields: dict[str, Any] = {
        "n": n,
        "to_read": to_read,
        "prepare": asdict(in_worker) if in_worker else None,
    }
    most = 3 * (n_pixels + to_read * STILL_SIDE**2)
    job = media_job(TASK, fields, read_bytes(data, limits), limits, most)

    def read(parts: Iterator[Part]) -> Decoded:
        frames: list[DecodedFrame] = []
        facts, cpu_s = None, 0.0
        for part in parts:
            with _checked():
                if "cpu_s" in part.fields:
                    cpu_s = _number(part.fields["cpu_s"], limits.max_decode_s + 2)
                    continue
                facts = facts or _facts(part.fields["facts"], limits)
                after = frames[-1].index if frames else -1
                frame = _frame(part, facts, after, n_pixels, to_read)
                if len(frames) == n or (in_worker and frame.pixels.shape[:2] != in_worker.size):
                    raise ValueError
            if not in_worker:
                frame = replace(frame, pixels=prepare(Image.fromarray(frame.pixels)))
            frames.append(frame)
        if facts is None:
            raise MediaError(INVALID)
        return Decoded(tuple(frames), facts, cpu_s)

    return (sandbox or shared_sandbox()).run(job, read, stop)


@contextmanager
def _checked() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, LookupError) as error:
        raise MediaError(INVALID) from error


def _facts(values: Any, limits: Limits) -> Facts:
    """The facts of a file; ValueError if they are none, or over the limits."""
    n_frames, duration_ms, width, height = (_number(value, MAX_TIME_MS) for value in values)
    facts = Facts(n_frames, duration_ms, width, height)
    if min(n_frames, width, height) < 1 or not limits.allow(facts):
        raise ValueError
    return facts


def _frame(part: Part, facts: Facts, after: int, n_pixels: int, to_read: bool) -> DecodedFrame:
    """A frame of this file that follows on frame `after`; ValueError if it is none."""
    index, time_ms = (_number(value, MAX_TIME_MS) for value in part.fields["frame"])
    if not after < index < facts.n_frames:
        raise ValueError
    most = [n_pixels, STILL_SIDE**2] if to_read else [n_pixels]
    pictures = [
        _picture(shape, block, pixels)
        for shape, block, pixels in zip(part.fields["shapes"], part.blocks, most, strict=True)
    ]
    return DecodedFrame(index, time_ms, pictures[0], pictures[1] if to_read else None)


def _picture(shape: Any, block: Block, most: int) -> np.ndarray:
    """Pixels (height, width, 3), uint8; ValueError if they are none, or more than allowed."""
    height, width = (_number(side, most) for side in shape)
    if not 0 < height * width <= most:
        raise ValueError
    return np.frombuffer(block, np.uint8).reshape(height, width, 3)


def without_traceback(error: MediaError) -> MediaError:
    """The error, to be kept: its traceback would keep the bytes that could not be decoded."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def _number(value: Any, most: float) -> Any:
    """The value, if it is a number from 0 to `most`; ValueError for others, NaN too."""
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise ValueError
    return value

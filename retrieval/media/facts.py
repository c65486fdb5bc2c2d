"""What decoding tells of a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What decoding tells of a file."""

    n_frames: int
    duration_ms: int  # 0 for a still
    width: int
    height: int

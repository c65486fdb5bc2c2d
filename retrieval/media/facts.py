"""Facts about a decoded media file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Frame count, duration and size of a media file."""

    n_frames: int
    duration_ms: int  # 0 for a still
    width: int
    height: int

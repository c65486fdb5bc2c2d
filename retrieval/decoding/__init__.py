"""Frames of media from outside, decoded in a sandbox."""

from retrieval.decoding.frames import (
    Decoded,
    DecodedFrame,
    Prepare,
    decode_frames,
    without_traceback,
)

__all__ = ["Decoded", "DecodedFrame", "Prepare", "decode_frames", "without_traceback"]

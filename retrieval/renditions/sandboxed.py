"""Renditions and stills as `retrieval.renditions.render` makes them, in a worker process."""

from __future__ import annotations

from collections.abc import Iterator

from retrieval.errors import MediaError
from retrieval.media import Limits, Stop, media_job, shared_sandbox
from retrieval.renditions.render import RENDER_LIMITS, check_format, check_width
from retrieval.sandbox import INVALID, Part, Sandbox

# CPU seconds beyond max_decode_s: what MAX_PIXELS of small frames take to encode three times.
ENCODE_S = 6
MAX_RENDITION_BYTES = 16_000_000  # of any; those that are meant have a sixth of it at most
_TASKS = "retrieval.renditions.tasks"


def sandboxed_animation(
    data: bytes,
    width: int,
    limits: Limits | None = None,
    stop: Stop | None = None,
    format: str = "webp",
    sandbox: Sandbox | None = None,
) -> bytes:
    """`render_animation` in a worker of `sandbox`, by default that of this process.

    MediaError also if the decoder crashes, or takes more than the limits allow.
    """
    check_width(width)
    check_format(format)
    return _run("animation", {"width": width, "format": format}, data, limits, stop, sandbox)


def sandboxed_still(
    data: bytes,
    frame: int,
    width: int,
    limits: Limits | None = None,
    stop: Stop | None = None,
    sandbox: Sandbox | None = None,
) -> bytes:
    """`render_still` in the same way."""
    check_width(width)
    return _run("still", {"frame": frame, "width": width}, data, limits, stop, sandbox)


def _run(
    task: str,
    fields: dict[str, object],
    data: bytes,
    limits: Limits | None,
    stop: Stop | None,
    sandbox: Sandbox | None,
) -> bytes:
    limits = limits or RENDER_LIMITS
    job = media_job(f"{_TASKS}:{task}", fields, data, limits, MAX_RENDITION_BYTES, ENCODE_S)
    return (sandbox or shared_sandbox()).run(job, _only_block, stop)


def _only_block(parts: Iterator[Part]) -> bytes:
    rendition = b""
    for part in parts:
        if rendition or len(part.blocks) != 1:
            raise MediaError(INVALID)
        rendition = bytes(part.blocks[0])
    if not rendition:
        raise MediaError(INVALID)
    return rendition

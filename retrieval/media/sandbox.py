"""The sandbox for decoders: media from outside are decoded in worker processes.

The functions of this package decode in the calling process: for files that are trusted, and in
the workers themselves. `retrieval.decoding` and `retrieval.renditions` use the sandbox.
"""

from __future__ import annotations

import os
from functools import cache

from retrieval.media.limits import Limits
from retrieval.sandbox import Job, Sandbox

N_WORKERS = max(2, os.cpu_count() or 2)
# What workers import before they limit their memory. No torch, no OpenVINO, no FAISS: each takes
# 25 MB of its own, and the first job 0.5 s more on two busy cores (python -m benchmarks sandbox).
_PLUGINS = ("Gif", "Jpeg", "Mpo", "Png", "WebP")
MODULES = ("av", *(f"PIL.{name}ImagePlugin" for name in _PLUGINS))


def media_sandbox(n_workers: int = N_WORKERS, niceness: int = 0) -> Sandbox:
    """A sandbox of its own. Nothing is started before its first job."""
    return Sandbox(n_workers, MODULES, niceness)


@cache
def shared_sandbox() -> Sandbox:
    """The sandbox of this process, for those that ask for no other."""
    return media_sandbox()


def media_job(
    task: str,
    fields: dict[str, object],
    data: bytes,
    limits: Limits,
    max_bytes: int,
    more_s: int = 0,
) -> Job:
    """A job on a file's bytes within these limits, with `more_s` CPU seconds beyond decoding."""
    return Job(
        task,
        {**fields, "limits": vars(limits)},
        [data],
        cpu_s=limits.max_decode_s,
        more_cpu_s=more_s,
        memory_mb=limits.max_memory_mb,
        max_bytes=max_bytes,
    )

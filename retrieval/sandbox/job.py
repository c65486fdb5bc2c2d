"""What a worker is to do, within which limits, and what is said of a worker that fails."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from retrieval.errors import (
    LimitError,
    MediaError,
    RetrievalError,
    StoppedError,
    UnavailableError,
)
from retrieval.sandbox.messages import Block

# A worker gets so many times its CPU seconds of time, on a machine that others use, too, and at
# least so many seconds, in which it may have to start.
WALL_PER_CPU, MIN_WALL_S = 6, 30
MAX_TEXT = 1_000
INVALID = "the decoder gave no valid answer"
# What arrives as itself; every other exception of a task comes as a TaskError.
ERRORS: dict[str, type[RetrievalError]] = {
    error.__name__: error for error in (MediaError, LimitError, UnavailableError, StoppedError)
}
# Signals that somebody else sent: the system when it is out of memory, or a person.
FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")


class Part(NamedTuple):
    """A part of an answer: what a task yields. Not checked: a file may have taken over a worker."""

    fields: dict[str, Any]
    blocks: Sequence[Block]


class TaskError(Exception):
    """A task raised an exception that is none of ours; its text is "KeyError: 'x'"."""


class CrashError(MediaError):
    """A worker ended in the middle of a job."""


class MemoryLimitError(LimitError):
    """A job took more memory than allowed."""


@dataclass(frozen=True)
class Job:
    """A call of a function in a worker, and its limits.

    `task` is "module:function", called with `fields`, a list of `blocks` (which it may empty, to
    free them), and a function that tells whether to stop. It yields (fields, blocks).
    """

    task: str
    fields: dict[str, Any] = field(default_factory=dict)
    blocks: Sequence[bytes] = ()
    cpu_s: int = 10
    more_cpu_s: int = 0  # for what is not counted by the limit's name
    memory_mb: int = 500  # beyond what the worker and the blocks take before
    max_bytes: int = 1_000_000  # of a part's blocks
    cpu_name: str = "max_decode_s"
    memory_name: str = "max_memory_mb"

    @property
    def head(self) -> dict[str, Any]:
        """What a worker is told, without the blocks."""
        limits = {"cpu_s": self.cpu_s + self.more_cpu_s, "memory_mb": self.memory_mb}
        return {"task": self.task, "fields": self.fields, **limits}

    @property
    def wall_s(self) -> float:
        return max(MIN_WALL_S, WALL_PER_CPU * (self.cpu_s + self.more_cpu_s))


def error_of(fields: dict[str, Any], job: Job) -> Exception:
    """The exception that a worker reports."""
    name, text = (_printable(fields.get(key, "")) for key in ("error", "text"))
    if name == "memory":
        return MemoryLimitError(f"{job.memory_name} is {job.memory_mb:,}, this takes more")
    if name == StoppedError.__name__:
        return StoppedError()
    if name in ERRORS:
        return ERRORS[name](text)
    return TaskError(f"{name}: {text}")


def _printable(value: object) -> str:
    """As it may be shown on a terminal: a worker may send what moves its cursor.

    >>> _printable("no" + chr(27) + "[2J picture")
    'no [2J picture'
    """
    return "".join(char if char.isprintable() else " " for char in str(value)[:MAX_TEXT])


def error_of_end(status: int, job: Job) -> MediaError:
    """The exception for a worker that ended with this status, -n for signal n.

    >>> error_of_end(-11, Job("")), error_of_end(1, Job(""))  # doctest: +NORMALIZE_WHITESPACE
    (CrashError('the decoder crashed (SIGSEGV)'),
     CrashError('the decoder ended without an answer (exit status 1)'))
    """
    if status >= 0:
        return CrashError(f"the decoder ended without an answer (exit status {status})")
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    if name == "SIGXCPU":
        return LimitError(f"{job.cpu_name} is {job.cpu_s:,}, this takes longer")
    if name in FROM_OUTSIDE:
        return UnavailableError(f"the decoder was ended from outside ({name})")
    return CrashError(f"the decoder crashed ({name})")

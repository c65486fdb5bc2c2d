"""Worker processes with limits, in which decoders run on bytes from outside."""

from retrieval.sandbox.job import INVALID, Job, Part, TaskError
from retrieval.sandbox.messages import Block
from retrieval.sandbox.pool import Sandbox

__all__ = ["INVALID", "Block", "Job", "Part", "Sandbox", "TaskError"]

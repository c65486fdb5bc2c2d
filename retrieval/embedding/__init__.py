"""Media to frame embeddings: what a build and an upload share."""

from retrieval.embedding.pipeline import (
    WORKERS,
    Done,
    Pipeline,
    Progress,
    Skipped,
    StageTimings,
    Work,
)

__all__ = ["WORKERS", "Done", "Pipeline", "Progress", "Skipped", "StageTimings", "Work"]

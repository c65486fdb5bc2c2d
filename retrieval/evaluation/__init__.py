"""Evaluation: messages, judgements and metrics."""

from retrieval.evaluation.data import load_messages, load_starter
from retrieval.evaluation.metrics import hit_rate_at_k, overlap_at_k, ranks_of
from retrieval.evaluation.tasks import (
    Row,
    evaluate_animations,
    evaluate_messages,
    evaluate_style,
    nearest_similarity,
    relevant_to,
)

__all__ = [
    "Row",
    "evaluate_animations",
    "evaluate_messages",
    "evaluate_style",
    "hit_rate_at_k",
    "load_messages",
    "load_starter",
    "nearest_similarity",
    "overlap_at_k",
    "ranks_of",
    "relevant_to",
]

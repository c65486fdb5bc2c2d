"""Evaluation: messages, judgements, runs, measures and plots."""

from retrieval.evaluation.ablation import AblationRow, Variant, ablate, variants
from retrieval.evaluation.data import load_messages, load_starter
from retrieval.evaluation.documents import DocumentNames
from retrieval.evaluation.judgements import (
    JudgedSet,
    Topic,
    read_judged_set,
    read_qrels,
    read_topics,
    write_qrels,
    write_topics,
)
from retrieval.evaluation.kinds import kinds_of
from retrieval.evaluation.measures import (
    MEASURES,
    Estimate,
    estimate,
    measure_run,
    randomisation_p,
)
from retrieval.evaluation.metrics import hit_rate_at_k, overlap_at_k, ranks_of
from retrieval.evaluation.plots import check_plots_folder, write_plots
from retrieval.evaluation.readers import dataset_set, reactiongif_set, starter_set
from retrieval.evaluation.report import Evaluation, Line, as_markdown, chance, format_value
from retrieval.evaluation.runs import (
    DEFAULT_DEPTH,
    Run,
    read_run,
    rename_qrels,
    rename_run,
    resolve_run,
    search_topics,
    signals_of,
    write_run,
)
from retrieval.evaluation.tasks import (
    Row,
    evaluate_animations,
    evaluate_messages,
    evaluate_style,
    nearest_similarity,
    relevant_to,
)

__all__ = [
    "DEFAULT_DEPTH",
    "MEASURES",
    "AblationRow",
    "DocumentNames",
    "Estimate",
    "Evaluation",
    "JudgedSet",
    "Line",
    "Row",
    "Run",
    "Topic",
    "Variant",
    "ablate",
    "as_markdown",
    "chance",
    "check_plots_folder",
    "dataset_set",
    "estimate",
    "evaluate_animations",
    "evaluate_messages",
    "evaluate_style",
    "format_value",
    "hit_rate_at_k",
    "kinds_of",
    "load_messages",
    "load_starter",
    "measure_run",
    "nearest_similarity",
    "overlap_at_k",
    "randomisation_p",
    "ranks_of",
    "reactiongif_set",
    "read_judged_set",
    "read_qrels",
    "read_run",
    "read_topics",
    "relevant_to",
    "rename_qrels",
    "rename_run",
    "resolve_run",
    "search_topics",
    "signals_of",
    "starter_set",
    "variants",
    "write_plots",
    "write_qrels",
    "write_run",
    "write_topics",
]

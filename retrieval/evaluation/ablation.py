"""Ablation: the same topics with each signal alone, with each left out, with each fusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retrieval.errors import QueryError
from retrieval.evaluation.judgements import JudgedSet
from retrieval.evaluation.measures import randomisation_p
from retrieval.evaluation.report import Evaluation, Line
from retrieval.evaluation.runs import DEFAULT_DEPTH, search_topics, signals_of
from retrieval.search import FUSIONS, Searcher

TESTED = "nDCG@10"  # the measure of the test against all signals: it uses every grade and rank


@dataclass(frozen=True)
class Variant:
    """One way to search: some signals, one fusion; None is the default of the search."""

    label: str
    signals: tuple[str, ...] | None = None
    fusion: str | None = None


@dataclass(frozen=True)
class AblationRow:
    """A variant's measures, and the p-value of its difference to all signals in TESTED."""

    variant: Variant
    line: Line
    p: float | None  # None for all signals


def variants(signals: Sequence[str], fusions: Sequence[str] = FUSIONS) -> list[Variant]:
    """The rows of an ablation table, all signals first, none twice.

    >>> [v.label for v in variants(("frames", "words"), ("sum", "rrf"))]
    ['all signals', 'frames alone', 'words alone', 'all signals, sum', 'all signals, rrf']
    >>> [v.label for v in variants(("frames",))]
    ['all signals (frames)']
    """
    if len(signals) == 1:
        return [Variant(f"all signals ({signals[0]})")]
    rows = [Variant("all signals")]
    rows += [Variant(f"{signal} alone", (signal,)) for signal in signals]
    if len(signals) > 2:  # of two, leaving one out is the other alone
        rows += [
            Variant(f"without {signal}", tuple(s for s in signals if s != signal))
            for signal in signals
        ]
    return rows + [Variant(f"all signals, {fusion}", None, fusion) for fusion in fusions]


def ablate(
    searcher: Searcher,
    judged: JudgedSet,
    depth: int = DEFAULT_DEPTH,
    progress: Callable[[int, int], None] | None = None,
) -> list[AblationRow]:
    """Search and measure every variant; `judged` names documents by id.

    A variant that cannot rank this bundle finds nothing, and says so.
    """
    rows: list[AblationRow] = []
    base = None
    chosen = variants(signals_of(searcher))
    for done, variant in enumerate(chosen, 1):
        label = variant.label
        try:
            run = search_topics(searcher, judged.topics, depth, variant.signals, variant.fusion)
        except QueryError:
            if base is None:
                raise
            run, label = {}, f"{label} (cannot rank)"  # words where no picture has any
        evaluation = Evaluation.of(judged, run)
        p = None if base is None else randomisation_p(evaluation.values[TESTED], base)
        base = evaluation.values[TESTED] if base is None else base
        rows.append(AblationRow(variant, evaluation.overall(label), p))
        if progress:
            progress(done, len(chosen))
    return rows

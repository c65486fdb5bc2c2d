"""Runs: what a search returned for each topic, and files of them in TREC run form.

A line is `topic Q0 document rank score tag`. File names may contain spaces, as all columns but
the document are fixed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval.errors import JudgementError, QueryError
from retrieval.evaluation.documents import DocumentNames
from retrieval.evaluation.judgements import (
    Qrels,
    Topic,
    check_replaceable_file,
    numbered_lines,
)
from retrieval.output import storage_errors
from retrieval.search import Searcher

Run = Mapping[str, Sequence[tuple[str, float]]]  # topic id → (document, score), best first

DEFAULT_DEPTH = 100  # results per topic
SCORE_STEPS = 1_000_000  # of scores in files, per 1: six decimals
_LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S|\S.*\S)\s+(\d+)\s+(\S+)\s+(\S+)")


def signals_of(searcher: Searcher) -> tuple[str, ...]:
    """The signals that a searcher ranks by; a searcher without a choice has frames alone."""
    signals: tuple[str, ...] = getattr(searcher, "signals", ("frames",))
    return signals


def search_topics(
    searcher: Searcher,
    topics: Sequence[Topic],
    depth: int = DEFAULT_DEPTH,
    signals: Collection[str] | None = None,
    fusion: str | None = None,
) -> dict[str, list[tuple[str, float]]]:
    """Return the first `depth` GIFs for each topic, by id.

    `signals` and `fusion` are passed on only if they are given. QueryError if the searcher
    lacks one of the signals.
    """
    present = signals_of(searcher)
    unknown = sorted(set(signals or ()) - set(present))
    if unknown:
        raise QueryError(
            f"No signal {', '.join(unknown)} in this bundle. It has {', '.join(present)}."
        )
    options: dict[str, Any] = {}
    if signals is not None and set(signals) != set(present):
        options["signals"] = tuple(signals)
    if fusion is not None:
        if len(present) == 1:
            raise QueryError(f"This bundle has one signal, {present[0]}: there is no fusion.")
        options["fusion"] = fusion
    answers = searcher.ask_all([topic.text for topic in topics], depth, **options)
    return {
        topic.id: [(result.record.id, float(result.score)) for result in results]
        for topic, results in zip(topics, answers, strict=True)
    }


def read_run(path: Path) -> dict[str, list[tuple[str, float]]]:
    """Return a run, ordered by score as trec_eval does; equal scores keep the order of ranks.

    JudgementError names the line of a wrong one.
    """
    found: dict[str, dict[str, tuple[float, int]]] = {}
    for number, line in numbered_lines(path):
        match = _LINE.fullmatch(line.strip())
        score = _number(match[5]) if match else math.nan
        if match is None or not math.isfinite(score):
            raise JudgementError(
                f"{path}, line {number}: expected topic Q0 document rank score tag, "
                f"got {line[:80]!r}"
            )
        documents = found.setdefault(match[1], {})
        if match[3] in documents:
            raise JudgementError(f"{path}, line {number}: {match[3]} stands twice for {match[1]}")
        documents[match[3]] = (-score, int(match[4]))
    if not found:
        raise JudgementError(f"{path} has no results in it.")
    return {
        topic: [(name, -negative) for name, (negative, _) in sorted(rows.items(), key=_place)]
        for topic, rows in found.items()
    }


def _place(row: tuple[str, tuple[float, int]]) -> tuple[float, int]:
    return row[1]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def write_run(run: Run, path: Path, tag: str) -> None:
    """Write a run. JudgementError if there is a file that is not a run.

    Readers order by score alone, so a score that does not fall with the rank (of equal results,
    or of a search that varies its first ones) is lowered to just below the one before.
    """
    check_replaceable_file(path, read_run, "a run")
    tag = "-".join(tag.split()) or "run"
    lines = []
    for topic, documents in run.items():
        last: float = math.inf
        for rank, (document, score) in enumerate(documents, 1):
            last = min(round(score * SCORE_STEPS), last - 1)
            lines.append(f"{topic} Q0 {document} {rank} {last / SCORE_STEPS:.6f} {tag}\n")
    with storage_errors(path):
        path.write_text("".join(lines), encoding="utf-8")


def rename_run(run: Run, names: DocumentNames, qrels: Qrels) -> dict[str, list[tuple[str, float]]]:
    """Return a run with file names in place of ids, those that `qrels` has if there are several."""
    return {
        topic: [(names.name_of(gif_id, qrels.get(topic)), score) for gif_id, score in documents]
        for topic, documents in run.items()
    }


def rename_qrels(qrels: Qrels, names: DocumentNames) -> dict[str, dict[str, int]]:
    """Return judgements with file names in place of ids."""
    return {
        topic: {names.name_of(gif_id): grade for gif_id, grade in grades.items()}
        for topic, grades in qrels.items()
    }


def resolve_run(run: Run, names: DocumentNames) -> dict[str, list[tuple[str, float]]]:
    """Return a run with ids in place of names; of a GIF that stands twice, the better place."""
    resolved = {}
    for topic, documents in run.items():
        best: dict[str, float] = {}
        for name, score in documents:
            best.setdefault(names.resolve(name) or name, score)
        resolved[topic] = list(best.items())
    return resolved

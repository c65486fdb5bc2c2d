"""Compare two runs over the same judgements.

Prints each measure of both runs, the difference, and its p-value: how often the difference is
at least as large if the two results of each message change places at random (paired
randomisation test, 10,000 rounds). Needs the extra evaluate.

reaction-search compare frames.run all.run --qrels qrels.txt
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.cli.judged import judged_without_topics, open_names, print_notes, require
from retrieval.evaluation import (
    MEASURES,
    estimate,
    format_value,
    measure_run,
    randomisation_p,
    read_run,
    resolve_run,
)


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run1", type=Path, metavar="RUN1", help="a TREC run, as evaluate --run-out writes it")
    add("run2", type=Path, metavar="RUN2", help="another one over the same topics")
    add("--qrels", type=Path, required=True, metavar="FILE", help="TREC judgements")
    add(
        "--bundle",
        metavar="BUNDLE",
        help="look names up in it, so that several names of one GIF count once",
    )
    add("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> None:
    require("ir_measures")
    judged = judged_without_topics(args.qrels)
    runs = [read_run(args.run1), read_run(args.run2)]
    if args.bundle:
        names = open_names(args.bundle)
        judged = judged.resolve(names)
        runs = [resolve_run(run, names) for run in runs]
    for path, run in zip((args.run1, args.run2), runs, strict=True):
        n_missing = sum(topic.id not in run for topic in judged.topics)
        if n_missing:
            print_notes([f"{path} has no results for {n_missing:,} topics, which count as 0"])
    print_notes(judged.notes)
    values, others = (measure_run(judged.qrels, run) for run in runs)
    rows = [row_of(name, values[name], others[name]) for name in MEASURES]
    if args.json:
        print(json.dumps({"n_topics": len(judged.topics), "measures": rows}, ensure_ascii=False))
        return
    print(as_table(rows, len(judged.topics), (args.run1.name, args.run2.name)))


def row_of(name: str, values: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    """One measure of both runs: means, difference with its interval, and p-value."""
    difference = estimate(others - values)
    return {
        "measure": name,
        "run1": float(values.mean()),
        "run2": float(others.mean()),
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": randomisation_p(others, values),
    }


def as_table(rows: list[dict[str, Any]], n_topics: int, names: tuple[str, str]) -> str:
    lines = [
        f"| {n_topics:,} topics | {names[0]} | {names[1]} | difference (95 % interval) | p |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        measure = str(row["measure"])
        keys = ("run1", "run2", "difference", "low", "high")
        one, two, difference, low, high = (format_value(measure, row[key]) for key in keys)
        lines.append(
            f"| {measure} | {one} | {two} | {difference} ({low} to {high}) | {row['p']:.4f} |"
        )
    return "\n".join(lines)

"""Measure how well the checkpoint finds reactions.

By default: held-out messages over the starter library, without downloads, compared with chance
and a text-only baseline. With --all also name → animation over all animated emoji, and name →
still in two held-out styles, which downloads the art once (npm, 750 MB).

With a test collection (--topics and --qrels, --starter, --reactiongif, or --dataset): hit rates,
recall, reciprocal rank and nDCG with 95 % intervals, in all, by reaction category and by message
length. --run judges an existing run instead of searching. Needs the extra evaluate.

reaction-search evaluate
reaction-search evaluate --topics topics.tsv --qrels qrels.txt --bundle index/mine --plots plots
reaction-search evaluate --run mine.run --qrels qrels.txt
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from retrieval.cli.console import UsageError, progress_bar
from retrieval.cli.evaluate_run import add_run_options, evaluate_run
from retrieval.cli.judged import add_collection_options, has_collection, open_searcher
from retrieval.encoders import CHECKPOINTS
from retrieval.evaluation import (
    Row,
    art,
    evaluate_animations,
    evaluate_messages,
    evaluate_style,
    load_messages,
    nearest_similarity,
)

OF_RUNS = ("run", "run_out", "qrels_out", "plots", "signals", "fusion")


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_collection_options(parser)
    add_run_options(parser)
    add("--all", action="store_true", help="also the tasks that download art")
    add("--cache", type=Path, default=Path("data/cache"), help="folder of downloaded art")
    add("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> None:
    if has_collection(args) or args.run:
        if args.all:
            raise UsageError("--all goes without a test collection")
        evaluate_run(args)
        return
    for name in OF_RUNS:
        if getattr(args, name):
            raise UsageError(f"--{name.replace('_', '-')} goes with --topics, --starter, …")
    evaluate_tasks(args)


def evaluate_tasks(args: argparse.Namespace) -> None:
    from retrieval.training.corpus import TRAIN_HANDS  # torch, two seconds
    from retrieval.training.trainer import text_only_embedder

    searcher = open_searcher(args)
    text_only = text_only_embedder(CHECKPOINTS / "mini")
    messages = load_messages(args.messages)
    trained = [m.text for hand in TRAIN_HANDS for m in load_messages(hand)]
    nearest = nearest_similarity([m.text for m in messages], trained, text_only)
    rows = evaluate_messages(searcher, messages, text_only)
    if args.all:
        with progress_bar("animations", "file") as progress:
            rows += evaluate_animations(searcher.encoder, args.cache, text_only, progress)
        for style in art.TEST_STYLES:
            rows += evaluate_style(searcher.encoder, style, args.cache, text_only)
    if args.json:
        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False))
        return
    print(as_table(rows))
    print(
        f"\nCheckpoint {searcher.encoder.label}. Most similar training message "
        f"to a {args.messages} message: cosine {np.median(nearest):.2f} in the median, "
        f"{nearest.max():.2f} at most."
    )


def as_table(rows: list[Row]) -> str:
    lines = [
        "| question | method | queries | corpus | hit@1 | hit@5 | MRR |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {r.question} | {r.method} | {r.n_queries} | {r.n_corpus} | {100 * r.hit_at_1:.1f} % "
        f"| {100 * r.hit_at_5:.1f} % | {r.mrr:.3f} |"
        for r in rows
    ]
    return "\n".join(lines)

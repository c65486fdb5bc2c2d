"""Measure how well the checkpoint finds reactions.

By default: held-out messages over the starter library, without downloads, compared with chance
and a text-only baseline. With --all also name → animation over all animated emoji, and name →
still in two held-out styles, which downloads the art once (npm, 750 MB).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from retrieval.cli.console import progress_bar
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
from retrieval.paths import STARTER
from retrieval.search import Searcher


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--index", type=Path, default=STARTER, metavar="BUNDLE", help="the bundle to search")
    add(
        "--messages",
        choices=("test", "dev"),
        default="test",
        help="which held-out messages; dev is the set that choices were made on",
    )
    add("--all", action="store_true", help="also the tasks that download art")
    add("--cache", type=Path, default=Path("data/cache"), help="folder of downloaded art")
    add("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> None:
    from retrieval.training.corpus import TRAIN_HANDS  # torch, two seconds
    from retrieval.training.trainer import text_only_embedder

    searcher = Searcher.open(args.index)
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

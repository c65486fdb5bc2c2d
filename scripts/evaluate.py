"""Measure how well the checkpoint finds reactions, beside chance and a text-only baseline.

By default: messages never trained on, over the starter library, with nothing to
fetch. With --all, also name → animation over all moving emoji and name → still in two
styles never trained on, which fetches the art (npm, 750 MB, once).
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from retrieval.cli.console import parser_for, progress_bar, run
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
from retrieval.training.corpus import TRAIN_HANDS
from retrieval.training.trainer import text_only_embedder


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("--index", type=Path, default=STARTER, metavar="BUNDLE")
    parser.add_argument(
        "--messages",
        choices=("test", "dev"),
        default="test",
        help="which held-out messages; dev is what choices were made on",
    )
    parser.add_argument("--all", action="store_true", help="also the questions that fetch art")
    parser.add_argument("--cache", type=Path, default=Path("data/cache"), help="where art is kept")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()

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


if __name__ == "__main__":
    run(main)

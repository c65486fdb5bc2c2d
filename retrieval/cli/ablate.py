"""Measure each signal alone, each left out, and each fusion.

Searches a test collection once for each row and prints a Markdown table with 95 % intervals.
The last column is the p-value of the difference to all signals (first row) in nDCG@10, by a
paired randomisation test. Needs the extra evaluate.

reaction-search ablate --starter
reaction-search ablate --topics topics.tsv --qrels qrels.txt --bundle index/mine --json
"""

from __future__ import annotations

import argparse
import json

from retrieval.cli.console import UsageError, progress_bar
from retrieval.cli.judged import (
    add_collection_options,
    has_collection,
    open_searcher,
    print_notes,
    read_collection,
    require,
)
from retrieval.evaluation import DocumentNames, ablate, as_markdown, chance


def configure(parser: argparse.ArgumentParser) -> None:
    add_collection_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> None:
    if not has_collection(args):
        raise UsageError("give a test collection: --topics and --qrels, or --starter")
    require("ir_measures")
    searcher = open_searcher(args)
    names = DocumentNames(searcher.collection.records)
    judged = read_collection(args, names)
    print_notes(judged.notes)
    with progress_bar("ablation", "row") as progress:
        rows = ablate(searcher, judged, args.depth, progress)
    if args.json:
        printed = {
            "collection": judged.name,
            "n_gifs": len(names),
            "notes": list(judged.notes),
            "rows": [
                {
                    **row.line.as_json(),
                    "signals": row.variant.signals and list(row.variant.signals),
                    "fusion": row.variant.fusion,
                    "p": row.p,
                }
                for row in rows
            ],
        }
        print(json.dumps(printed, ensure_ascii=False))
        return
    print(f"{judged.name}: {len(judged.topics):,} messages over {len(names):,} GIFs\n")
    lines = [row.line for row in rows] + [chance(judged, names)]
    print(as_markdown(lines, "signals", [row.p for row in rows] + [None]))

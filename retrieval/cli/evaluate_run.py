"""`reaction-search evaluate` with a test collection: a run against judgements."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from retrieval.cli.console import UsageError
from retrieval.cli.judged import (
    has_collection,
    judged_without_topics,
    open_names,
    open_searcher,
    print_notes,
    read_collection,
    require,
)
from retrieval.evaluation import (
    DocumentNames,
    Evaluation,
    JudgedSet,
    Line,
    Run,
    as_markdown,
    chance,
    check_plots_folder,
    kinds_of,
    read_qrels,
    read_run,
    rename_qrels,
    rename_run,
    resolve_run,
    search_topics,
    write_plots,
    write_qrels,
    write_run,
)
from retrieval.paths import STARTER
from retrieval.search import FUSIONS


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a run against judgements."""
    add = parser.add_argument
    add("--signals", metavar="LIST", help="search by these alone, such as words,names")
    add("--fusion", choices=FUSIONS, help="how signals are combined, if not as usual")
    add("--run", type=Path, metavar="FILE", help="judge this TREC run instead of searching")
    add("--run-out", type=Path, metavar="FILE", help="write the results as a TREC run")
    add("--qrels-out", type=Path, metavar="FILE", help="write the judgements as TREC qrels")
    add("--plots", type=Path, metavar="FOLDER", help="draw plots into a new or empty folder")


def evaluate_run(args: argparse.Namespace) -> None:
    """Search or read a run, measure it, and print tables or JSON."""
    if args.run and (args.signals or args.fusion or args.run_out):
        raise UsageError("--run goes without --signals, --fusion and --run-out")
    if args.run and not args.qrels and not has_collection(args):
        raise UsageError("--run needs --qrels, or another test collection")
    require("ir_measures", *(["matplotlib"] if args.plots else []))
    if args.plots:
        check_plots_folder(args.plots)
    judged, run, names = judge_run(args) if args.run else search_run(args)
    if args.qrels_out:
        write_qrels(rename_qrels(judged.qrels, names) if names else judged.qrels, args.qrels_out)
    evaluation = Evaluation.of(judged, run)
    print_notes(judged.notes)
    if args.plots:
        kinds = kinds_of(names.records.values()) if names else {}
        for path in write_plots(evaluation, kinds, args.plots):
            print(f"Drawn: {path}", file=sys.stderr)
    if args.json:
        print(json.dumps(as_json(evaluation, names), ensure_ascii=False))
    else:
        print(as_text(evaluation, names))


def search_run(args: argparse.Namespace) -> tuple[JudgedSet, Run, DocumentNames]:
    """Search for the topics of a collection, and write the run if asked to."""
    searcher = open_searcher(args)
    names = DocumentNames(searcher.collection.records)
    judged = read_collection(args, names)
    signals = [name.strip() for name in args.signals.split(",")] if args.signals else None
    run = search_topics(searcher, judged.topics, args.depth, signals, args.fusion)
    if args.run_out:
        written = read_qrels(args.qrels) if args.qrels else {}
        tag = "-".join(filter(None, (args.signals or "all", args.fusion)))
        write_run(rename_run(run, names, written), args.run_out, tag)
    return judged, run, names


def judge_run(args: argparse.Namespace) -> tuple[JudgedSet, Run, DocumentNames | None]:
    """Read a run and its judgements; without a bundle, they have to name documents alike."""
    run = read_run(args.run)
    if not args.bundle and not has_collection(args):
        return judged_without_topics(args.qrels), run, None
    names = open_names(args.bundle or str(STARTER))
    if has_collection(args):
        judged = read_collection(args, names)
    else:
        judged = judged_without_topics(args.qrels).resolve(names)
    return judged, resolve_run(run, names), names


def tables_of(evaluation: Evaluation, names: DocumentNames | None) -> dict[str, list[Line]]:
    """The lines of each table by its heading; empty tables are left out."""
    overall = [evaluation.overall()]
    if names:
        overall.append(chance(evaluation.judged, names))
    knows_texts = any(topic.text for topic in evaluation.judged.topics)
    tables = {
        "messages": overall,
        "category": evaluation.by_category(),
        "length": evaluation.by_length() if knows_texts else [],
    }
    return {head: lines for head, lines in tables.items() if lines}


def as_json(evaluation: Evaluation, names: DocumentNames | None) -> dict[str, Any]:
    tables = tables_of(evaluation, names)
    return {
        "collection": evaluation.judged.name,
        "n_gifs": len(names) if names else None,
        "notes": list(evaluation.judged.notes),
        "tables": {head: [line.as_json() for line in lines] for head, lines in tables.items()},
    }


def as_text(evaluation: Evaluation, names: DocumentNames | None) -> str:
    n_topics = len(evaluation.judged.topics)
    corpus = f" over {len(names):,} GIFs" if names else ""
    first = f"{evaluation.judged.name}: {n_topics:,} messages{corpus}; 95 % intervals in brackets"
    tables = tables_of(evaluation, names).items()
    return "\n\n".join([first, *(as_markdown(lines, head) for head, lines in tables)])

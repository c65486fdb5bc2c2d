"""The options that name a test collection, shared by the verbs evaluate and ablate."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from retrieval.cli.console import UsageError, opening_bar
from retrieval.evaluation import (
    DEFAULT_DEPTH,
    DocumentNames,
    JudgedSet,
    Topic,
    dataset_set,
    reactiongif_set,
    read_judged_set,
    read_qrels,
    starter_set,
)
from retrieval.library import Bundle
from retrieval.paths import STARTER
from retrieval.search import Searcher

COLLECTIONS = ("topics", "starter", "reactiongif", "dataset")


def add_collection_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a bundle and a test collection."""
    add = parser.add_argument
    add(
        *("--bundle", "--index"),
        metavar="BUNDLE",
        help="the bundle to search, index/starter if none is named: a folder, or "
        "hf://datasets/OWNER/NAME",
    )
    add(
        "--messages",
        choices=("test", "dev"),
        default="test",
        help="which held-out messages; dev is the set that choices were made on",
    )
    add("--topics", type=Path, metavar="FILE", help="messages: id<TAB>message[<TAB>category]")
    add("--qrels", type=Path, metavar="FILE", help="TREC judgements: topic 0 document grade")
    add("--starter", action="store_true", help="the held-out messages, judged by category")
    add(
        "--reactiongif",
        type=Path,
        metavar="FILE",
        help="a file of ReactionGIF with texts (.json, .jsonl, .csv), judged by category",
    )
    add("--dataset", metavar="NAME", help="a data set or its folder; each row's own medium fits")
    add("--text-column", metavar="NAME", help="the messages of --dataset")
    add("--media-column", metavar="NAME", help="the media of --dataset")
    add("--split", metavar="NAME", help="split of --dataset")
    add("--limit", type=int, metavar="N", help="first N rows of --reactiongif or --dataset")
    add(
        "--depth",
        type=int,
        default=DEFAULT_DEPTH,
        metavar="N",
        help="results per message; RR and plots see no more",
    )


def has_collection(args: argparse.Namespace) -> bool:
    """Whether one collection is named; UsageError for two, or half of one."""
    named = [name for name in COLLECTIONS if getattr(args, name)]
    if len(named) > 1:
        raise UsageError(f"give one of --{' and --'.join(named)}")
    if bool(args.topics) != bool(args.qrels) and not (args.qrels and getattr(args, "run", None)):
        raise UsageError("--topics and --qrels go together")
    if bool(args.dataset) != bool(args.text_column and args.media_column):
        raise UsageError("--dataset, --text-column and --media-column go together")
    for name in ("depth", "limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} is {value}; expected 1 or more")
    return bool(named)


def read_collection(args: argparse.Namespace, names: DocumentNames) -> JudgedSet:
    """Return the collection that the options name, with documents by id."""
    if args.topics:
        return read_judged_set(args.topics, args.qrels).resolve(names)
    if args.reactiongif:
        return reactiongif_set(args.reactiongif, names, args.limit)
    if args.dataset:
        name, columns = args.dataset, (args.text_column, args.media_column)
        return dataset_set(name, *columns, names, args.split, args.limit)
    return starter_set(args.messages, names)


def open_searcher(args: argparse.Namespace) -> Searcher:
    """Open the bundle that the options name, or the starter."""
    where = args.bundle or str(STARTER)
    with pulling(where) as progress:
        return Searcher.open(where, progress=progress)


def open_names(where: str) -> DocumentNames:
    """The names of the GIFs of a bundle, without its encoder."""
    with pulling(where) as progress:
        return DocumentNames(Bundle.open(where, progress).records)


def judged_without_topics(path: Path) -> JudgedSet:
    """Judgements whose messages are unknown: no table by category or length."""
    qrels = read_qrels(path)
    return JudgedSet(path.name, tuple(Topic(topic, "") for topic in qrels), qrels)


def pulling(where: str) -> AbstractContextManager[Any]:
    """The progress bar of a bundle that is pulled, or whose files are read to check them."""
    return opening_bar(where)


def require(*packages: str) -> None:
    """Import packages before any work; dispatch says which extra has a missing one."""
    for package in packages:
        importlib.import_module(package)


def print_notes(notes: Sequence[str]) -> None:
    """Print what a collection leaves out, on standard error."""
    for note in notes:
        print(f"Note: {note}.", file=sys.stderr)

"""Find the reactions that answer a message, a picture, or both.

Text in quotation marks must stand in a GIF's words or name, -word must not. The score is the
probability that a GIF fits. For a picture alone, and in a bundle without other signals, it is the
cosine of query and frames.

reaction-search search "I got the job 🎉"
reaction-search search "so tired" --not "angry" -k 3 --json
reaction-search search --image photo.jpg
reaction-search search 'she said "no way"' --signals words,names
reaction-search search --queries messages.txt --json
reaction-search search "thank you!" --index hf://datasets/OWNER/NAME
reaction-search search --verify --index index/mine
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten

from retrieval.cli.console import UsageError, opening_bar, print_verification
from retrieval.errors import QueryError
from retrieval.library import SIGNALS
from retrieval.paths import STARTER
from retrieval.search import (
    DEFAULT_TOP_K,
    FUSIONS,
    RECOGNISED,
    Result,
    Searcher,
    check_message,
)

WORDS_CHARS = 40  # of the words in a picture that are printed


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("message", nargs="?", metavar="MESSAGE", help="the message to answer")
    add("--image", type=Path, metavar="FILE", help="a picture to react to")
    add("--not", dest="negative", metavar="TEXT", help="what the reactions should not be about")
    add("-k", dest="top_k", type=int, default=DEFAULT_TOP_K, metavar="N", help="how many reactions")
    add("--fold", action="store_true", help="fold near-duplicates into one")
    add(
        "--index",
        default=str(STARTER),
        metavar="BUNDLE",
        help="a folder, or hf://datasets/OWNER/NAME, with @REVISION if not the newest",
    )
    add(
        "--queries",
        type=Path,
        metavar="FILE",
        help="UTF-8 text, one message a line; one answer a line is printed, in order",
    )
    add(
        "--signals",
        type=parse_signals,
        metavar="NAME,…",
        help=f"rank by some of {','.join(SIGNALS)} only (default: all that the bundle has)",
    )
    add("--fusion", choices=FUSIONS, help="how signals are combined (default: sum)")
    add("--json", action="store_true", help="print JSON")
    add(
        "--verify",
        action="store_true",
        help="first read every file of the index again and compare its hash, also of those that "
        "were checked when it was opened before; without MESSAGE nothing else is done",
    )


def execute(args: argparse.Namespace) -> None:
    if args.queries and (args.message or args.image or args.negative or args.fold):
        raise UsageError("--queries goes with -k, --index, --signals, --fusion and --json alone")
    # Reject a bad query before seconds go into loading.
    messages = read_queries(args.queries) if args.queries else None
    if messages is None:
        if args.message is not None:
            check_message(args.message)
        elif args.image is None and args.verify:
            print_verification(args.index)
            return
        elif args.image is None:
            raise UsageError("give a MESSAGE, --image FILE, or --queries FILE")
        elif args.signals and args.signals != ["frames"]:
            raise UsageError("a picture alone is ranked by frames: --signals needs a MESSAGE")

    if args.verify:
        print_verification(args.index)
    with opening_bar(args.index) as progress:
        searcher = Searcher.open(args.index, progress=progress)
    check_has_signals(searcher, args.signals or ())
    if messages is not None:
        answers = searcher.ask_all(messages, args.top_k, signals=args.signals, fusion=args.fusion)
        for message, results in zip(messages, answers, strict=True):
            print(as_json(results) if args.json else f"{message}\n{as_text(results)}\n")
        return
    results = searcher.ask(
        args.message,
        image=args.image,
        negative=args.negative,
        top_k=args.top_k,
        fold=args.fold,
        signals=args.signals,
        fusion=args.fusion,
    )
    print(as_json(results) if args.json else as_text(results))


def parse_signals(names: str) -> list[str]:
    """Signals from a comma-separated list; argparse reports an unknown one."""
    signals = [name.strip() for name in names.split(",")]
    unknown = [name for name in signals if name not in SIGNALS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown signal {unknown[0]!r}; expected some of {', '.join(SIGNALS)}"
        )
    return signals


def check_has_signals(searcher: Searcher, signals: Sequence[str]) -> None:
    """QueryError if the bundle lacks one of the signals."""
    missing = [name for name in signals if name not in searcher.signals]
    if missing:
        raise QueryError(
            f"{searcher.collection.name} has no signal {missing[0]!r}, only "
            f"{', '.join(searcher.signals)}. Build it again: reaction-search build … "
            f"--signals {','.join(SIGNALS)}"
        )


def read_queries(path: Path) -> list[str]:
    """The messages of a UTF-8 file, one a line; QueryError names the line of an invalid one."""
    try:
        with path.open(encoding="utf-8") as file:
            messages = [line.removesuffix("\n") for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"{path} cannot be read as UTF-8 text ({error}).") from error
    if not messages:
        raise QueryError(f"{path} has no messages in it. Write one a line.")
    for number, message in enumerate(messages, 1):
        try:
            check_message(message)
        except QueryError as error:
            raise QueryError(f"{path}, line {number}: {error}") from error
    return messages


def as_json(results: Sequence[Result]) -> str:
    return json.dumps(
        [
            {
                "rank": result.rank,
                "score": round(result.score, 6),
                "id": result.record.id,
                "uri": result.uri,
                "title": result.record.title,
                "emoji": result.record.emoji,
                "tags": list(result.record.tags),
                "best_frame": result.best_frame,
                "best_frame_ms": result.best_frame_ms,
                "signals": _rounded(result.signals),
                "words": asdict(result.words) if result.words else None,
                "reactions": _rounded(result.reactions),
            }
            for result in results
        ],
        ensure_ascii=False,
    )


def as_text(results: Sequence[Result]) -> str:
    return "\n".join(
        f"{r.rank:3}  {r.score:6.3f}  {r.record.emoji or ' '} {r.record.title}"
        f"  ({'; '.join([f'frame {r.best_frame}, {r.best_frame_ms} ms', *_reasons(r)])})  {r.uri}"
        for r in results
    )


def _reasons(result: Result) -> list[str]:
    """The words in the picture and the reactions that speak for a result, in short."""
    reasons = []
    if result.words and result.signals.get("words", 0) > 0:
        reasons.append(f"says “{shorten(result.words.text, WORDS_CHARS, placeholder='…')}”")
    if result.signals.get("reaction", 0) > 0:
        likely = [name for name, p in result.reactions.items() if p >= RECOGNISED]
        reasons += [", ".join(likely)] if likely else []
    return reasons


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}

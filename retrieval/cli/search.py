"""Find the reactions that answer a message, a picture, or both.

reaction-search search "I got the job 🎉"
reaction-search search "so tired" --not "angry" -k 3 --json
reaction-search search --image photo.jpg
reaction-search search --queries messages.txt --json
reaction-search search "thank you!" --index hf://datasets/OWNER/NAME
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from retrieval.cli.console import UsageError, progress_bar
from retrieval.errors import QueryError
from retrieval.hub import is_address
from retrieval.paths import STARTER
from retrieval.search import DEFAULT_TOP_K, Result, Searcher, check_message


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
    add("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> None:
    if args.queries and (args.message or args.image or args.negative or args.fold):
        raise UsageError("--queries goes with -k, --index and --json alone")
    # Reject a bad query before seconds go into loading.
    messages = read_queries(args.queries) if args.queries else None
    if messages is None:
        if args.message is not None:
            check_message(args.message)
        elif args.image is None:
            raise UsageError("give a MESSAGE, --image FILE, or --queries FILE")

    with progress_bar("pulling", "file") if is_address(args.index) else nullcontext() as progress:
        searcher = Searcher.open(args.index, progress=progress)
    if messages is not None:
        for message, results in zip(messages, searcher.ask_all(messages, args.top_k), strict=True):
            print(as_json(results) if args.json else f"{message}\n{as_text(results)}\n")
        return
    results = searcher.ask(
        args.message, image=args.image, negative=args.negative, top_k=args.top_k, fold=args.fold
    )
    print(as_json(results) if args.json else as_text(results))


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
            }
            for result in results
        ],
        ensure_ascii=False,
    )


def as_text(results: Sequence[Result]) -> str:
    return "\n".join(
        f"{r.rank:3}  {r.score:6.3f}  {r.record.emoji or ' '} {r.record.title}"
        f"  (frame {r.best_frame}, {r.best_frame_ms} ms)  {r.uri}"
        for r in results
    )

"""Summarize the votes that people cast on reactions.

Prints how many reactions fit, by rank, by index, and the messages with the most misses. Votes
are stored where the page runs with REACTION_FEEDBACK=on. People vote on the reactions they
choose to look at, so no share here is a hit rate.

reaction-search feedback
reaction-search feedback --data /data/votes --json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from retrieval.web import Settings, Summary, Tally, read_votes, summarize

MESSAGE_CHARS = 70


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=Settings.read().data,
        metavar="FOLDER",
        help="folder of the votes, REACTION_DATA",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> None:
    kept = read_votes(args.data)
    summary = summarize(kept.votes)
    for sentence in kept.damaged:
        print(f"Warning: {sentence} It is left out.", file=sys.stderr)
    print(as_json(summary, len(kept.damaged)) if args.json else as_text(summary))


def as_json(summary: Summary, n_damaged: int) -> str:
    def row(tally: Tally) -> dict[str, Any]:
        share = round(tally.share, 6)
        return {**tally.of, "n_votes": tally.n_votes, "n_fit": tally.n_fit, "share": share}

    groups = {name: getattr(summary, name) for name in ("by_rank", "by_search", "worst")}
    rows = {name: [row(tally) for tally in tallies] for name, tallies in groups.items()}
    return json.dumps({**row(summary.total), "n_damaged": n_damaged, **rows}, ensure_ascii=False)


def as_text(summary: Summary) -> str:
    lines = [f"{summary.total.n_votes:,} votes, {100 * summary.total.share:.1f} % fit"]
    for heading, tallies in (
        ("rank", summary.by_rank),
        ("bundle, checkpoint, pooling", summary.by_search),
        ("message, those with the most misses", summary.worst),
    ):
        if tallies:
            lines += ["", f"  votes  misses  fit      {heading}"]
        lines += [
            f"{t.n_votes:7,} {t.n_votes - t.n_fit:7,} {100 * t.share:5.1f} %   {name_of(t)}"
            for t in tallies
        ]
    return "\n".join(lines)


def name_of(tally: Tally) -> str:
    """In one line that no message can break, or make a terminal do anything."""
    values = (
        str(value)[:12] if name == "fingerprint" else str(value) for name, value in tally.of.items()
    )
    text = "".join(c if c.isprintable() else " " for c in "  ".join(values))
    return text if len(text) <= MESSAGE_CHARS else f"{text[: MESSAGE_CHARS - 1]}…"

"""Say what people's votes say: how many reactions fit, at which rank, for which message not.

Votes are kept where the page runs with REACTION_FEEDBACK=on. They are of the reactions that
people chose to look at, so that no share here is a hit rate.

python scripts/feedback.py
python scripts/feedback.py --data /data/votes --json
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retrieval.cli.console import parser_for, run
from retrieval.web import Settings, Summary, Tally, read_votes, summarize

MESSAGE_CHARS = 70


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        default=Settings.read().data,
        metavar="FOLDER",
        help="where the votes are kept: REACTION_DATA",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()

    kept = read_votes(args.data)
    summary = summarize(kept.votes)
    for sentence in kept.damaged:
        print(f"Warning: {sentence} It is left out.", file=sys.stderr)
    print(as_json(summary, len(kept.damaged)) if args.json else as_text(summary))


def as_json(summary: Summary, n_damaged: int) -> str:
    def rows(tallies: Sequence[Tally]) -> list[dict[str, Any]]:
        return [row(tally) for tally in tallies]

    def row(tally: Tally) -> dict[str, Any]:
        counts = {k: v for k, v in asdict(tally).items() if k != "of"}
        return {**tally.of, **counts, "share": round(tally.share, 6)}

    return json.dumps(
        {
            **row(summary.total),
            "n_damaged": n_damaged,
            "by_rank": rows(summary.by_rank),
            "by_search": rows(summary.by_search),
            "worst": rows(summary.worst),
        },
        ensure_ascii=False,
    )


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


if __name__ == "__main__":
    run(main)

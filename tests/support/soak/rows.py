"""What a part of the soak returns: a promise, what was asked, what was reached, whether it held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Row:
    """A promise and how it was kept; `ok` is None where it could not be tried."""

    promise: str
    asked: str
    reached: str
    ok: bool | None


@dataclass(frozen=True)
class Amount:
    """How much of the full form is run: counts and minutes are multiplied by `scale`."""

    scale: float = 1.0
    minutes: float | None = None  # of each crowd, whatever the scale
    seed: int = 0

    def count(self, full: int, least: int = 1) -> int:
        return max(least, round(full * self.scale))

    def seconds(self, full_minutes: float, least_s: float = 20) -> float:
        minutes = full_minutes * self.scale if self.minutes is None else self.minutes
        return max(least_s, 60 * minutes)


def skipped(promise: str, reason: str) -> Row:
    return Row(promise, "", f"not tried: {reason}", None)


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| promise | asked | reached | held |", "|---|---|---|---|"]
    for row in rows:
        held = {True: "yes", False: "**no**", None: "–"}[row.ok]
        cells = (row.promise, row.asked, row.reached, held)
        lines.append("| " + " | ".join(" ".join(c.replace("|", "/").split()) for c in cells) + " |")
    return "\n".join(lines)


def p95(seconds: Sequence[float]) -> float:
    """The 95th percentile; infinity of nothing, so that a promise without a measure is broken."""
    return float(np.percentile(seconds, 95)) if seconds else float("inf")


def first_of(problems: Sequence[str]) -> str:
    """How many problems there are, and the first, for a cell of the table."""
    return f"{len(problems)} ({problems[0][:300]})" if problems else "none"

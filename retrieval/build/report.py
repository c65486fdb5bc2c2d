"""Report of a build, as text, JSON or one HTML page."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retrieval.build.items import listed
from retrieval.embedding import Skipped, StageTimings
from retrieval.errors import OutputError
from retrieval.library import UNKNOWN_LICENSE

MAX_NAMED = 5  # files named for each reason; JSON and HTML name all
HEAD_BYTES, TITLE = 1_000, b": build report</title>"  # identify an earlier report


@dataclass(frozen=True)
class BuildReport:
    """Counts, duplicates, licences, skipped files and timings of a build."""

    source: str
    out: str
    checkpoint: str
    precision: str
    n_gifs: int
    n_frames: int
    n_embedded: int  # GIFs that were embedded in this run; the rest were known
    n_gone: int  # GIFs of the last build that are not in this one
    n_places: int  # files and addresses; those beyond n_gifs are exact duplicates
    groups: tuple[tuple[str, ...], ...]  # near-duplicates, by name
    licenses: Mapping[str, int]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]  # further facts, in sentences
    index: str  # which index was chosen, and why
    seconds: float
    write_seconds: float  # of them, for groups, index, catalogue and copies
    n_pictures: int  # that went through the encoder
    stages: StageTimings
    precision_reason: str = ""  # why this precision was used, if the encoder says so
    reads_words: bool = False  # whether words in the pictures were to be read
    n_with_words: int = 0  # GIFs in which some were
    n_texts: int = 0
    measured: str = ""  # how well the checkpoint sees what the library shows, in a sentence

    @property
    def gifs_per_second(self) -> float:
        return self.n_embedded / self.seconds if self.seconds else 0.0

    @property
    def n_exact_duplicates(self) -> int:
        return self.n_places - self.n_gifs

    @property
    def encoder(self) -> str:
        """Checkpoint and precision, with the reason for the latter."""
        reason = f" ({self.precision_reason})" if self.precision_reason else ""
        return f"{self.checkpoint} in {self.precision}{reason}"

    @property
    def words(self) -> str:
        """In how many GIFs words were read; "" if the build was not to read any."""
        if not self.reads_words:
            return ""
        return (
            f"read in {self.n_with_words:,} of {self.n_gifs:,} GIFs ({self.n_texts:,} texts), "
            f"{self.stages.read:.1f} s in parallel"
        )

    def reasons(self) -> list[tuple[str, list[str]]]:
        """(reason, paths) of skipped files, most frequent first.

        Reasons that differ only in their figures are grouped together.
        """
        kinds: dict[str, tuple[str, list[str]]] = {}
        for skipped in self.skipped:
            kind = re.sub(r"[\d,.]+", "#", skipped.reason)
            kinds.setdefault(kind, (skipped.reason, []))[1].append(skipped.path)
        return sorted(kinds.values(), key=lambda reason: -len(reason[1]))


def as_json(report: BuildReport) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "gifs": report.n_gifs,
        "frames": report.n_frames,
        "embedded": report.n_embedded,
        "unchanged": report.n_gifs - report.n_embedded,
        "gone": report.n_gone,
        "exact_duplicates": report.n_exact_duplicates,
        "near_duplicates": [list(names) for names in report.groups],
        "skipped": [asdict(skipped) for skipped in report.skipped],
        "licenses": dict(report.licenses),
        "notes": list(report.notes),
        "words": {
            "gifs": report.n_with_words,
            "texts": report.n_texts,
            "seconds": round(report.stages.read, 3),
        }
        if report.reads_words
        else None,
        "measured": report.measured,
        "index": report.index,
        "checkpoint": report.checkpoint,
        "precision": report.precision,
        "precision_reason": report.precision_reason,
        "seconds": round(report.seconds, 3),
        "gifs_per_second": round(report.gifs_per_second, 2),
    }


def as_text(report: BuildReport) -> str:
    """The report in some ten lines."""
    lines = [*report.notes]
    for reason, paths in report.reasons():
        lines.append(f"left out {len(paths):,}: {reason}: {listed(paths, MAX_NAMED)}")
    near = sum(map(len, report.groups)) - len(report.groups)
    licenses = ", ".join(f"{name} {count:,}" for name, count in report.licenses.items())
    lines += [
        f"{report.n_gifs:,} GIFs with {report.n_frames:,} frames of {report.source}, by "
        f"{report.encoder}: {_changes(report)}",
        f"duplicates: {report.n_exact_duplicates:,} files with the same bytes as another, "
        f"{near:,} GIFs that look like another, in {len(report.groups):,} groups",
        *([f"words: {report.words}"] if report.words else []),
        *([report.measured] if report.measured else []),
        f"licences: {licenses}",
        f"index: {report.index}",
        f"time: {_speed(report)}",
    ]
    return "\n".join(lines)


def check_report(file: Path) -> None:
    """OutputError unless a report may be written to the file: a new one, or an older report."""
    try:
        if stat.S_ISREG(file.stat().st_mode):
            with file.open("rb") as there:
                head = there.read(HEAD_BYTES)
            ours = not head or TITLE in head
        else:
            ours = not file.is_dir()  # nothing is lost that goes to a device or a pipe
    except FileNotFoundError:
        ours = not file.is_symlink() and file.absolute().parent.is_dir()
    except OSError:
        ours = False
    if not ours:
        raise OutputError(
            f"--report is {file}; expected a new file in a folder that is there, or an earlier "
            f"report, for nothing else is overwritten. Nothing was written."
        )


def as_html(report: BuildReport) -> str:
    """The report as one page that needs nothing else."""
    from jinja2 import Environment, PackageLoader

    templates = Environment(autoescape=True, loader=PackageLoader("retrieval.build", "."))
    return templates.get_template("report.html.j2").render(
        report=report,
        changes=_changes(report),
        speed=_speed(report),
        known=report.n_gifs - report.licenses.get(UNKNOWN_LICENSE, 0),
        stages=_stages(report),
    )


def _changes(report: BuildReport) -> str:
    known = report.n_gifs - report.n_embedded
    return (
        f"{report.n_embedded:,} embedded now, {known:,} known from before, {report.n_gone:,} gone, "
        f"{len(report.skipped):,} left out"
    )


def _speed(report: BuildReport) -> str:
    if not report.n_pictures:
        return f"{report.seconds:.1f} s; nothing had to be embedded"
    pictures = report.n_pictures / report.seconds
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in _stages(report))
    return (
        f"{report.seconds:.1f} s, {report.gifs_per_second:.1f} GIFs/s, {pictures:.0f} pictures/s; "
        f"{stages}"
    )


def _stages(report: BuildReport) -> Sequence[tuple[str, float]]:
    stages = report.stages
    reading = ("reading words in parallel", stages.read)
    return (
        ("encoding", stages.encode),
        ("waiting for decoded frames", stages.wait),
        ("writing", report.write_seconds),
        ("decoding in parallel (CPU time)", stages.decode),
        *([reading] if report.reads_words else []),
    )

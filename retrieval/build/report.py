"""What a build did, for a person to read: as text, as JSON, as a page of HTML."""

from __future__ import annotations

import re
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retrieval.embedding import Seconds
from retrieval.embedding.pipeline import Skipped
from retrieval.errors import OutputError
from retrieval.library import UNKNOWN_LICENSE

MAX_NAMED = 5  # files named for each reason; JSON and HTML name all
HEAD_BYTES, TITLE = 1_000, b": build report</title>"  # by which a page is known as a report


@dataclass(frozen=True)
class BuildReport:
    """What went in, what was left out, what is alike, and how fast it went."""

    source: str
    out: str
    checkpoint: str
    precision: str
    n_gifs: int
    n_frames: int
    n_embedded: int  # GIFs that were embedded in this run; the rest were known
    n_gone: int  # GIFs of the last build that are not in this one
    n_places: int  # files and addresses; the more than GIFs are exact duplicates
    groups: tuple[tuple[str, ...], ...]  # near-duplicates, by name
    licenses: Mapping[str, int]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]  # what else a person should know, in sentences
    index: str  # which index was chosen, and why
    seconds: float
    write_seconds: float  # of them, for groups, index, catalogue and copies
    n_pictures: int  # that went through the encoder
    stages: Seconds

    @property
    def gifs_per_second(self) -> float:
        return self.n_embedded / self.seconds if self.seconds else 0.0

    @property
    def n_exact_duplicates(self) -> int:
        return self.n_places - self.n_gifs

    def reasons(self) -> list[tuple[str, list[str]]]:
        """(reason, paths) of what was left out, most frequent first.

        Figures in a reason are left away for the grouping: all files over a bound are one.
        """
        paths: dict[str, list[str]] = {}
        shown: dict[str, str] = {}
        for skipped in self.skipped:
            kind = re.sub(r"[\d,.]+", "#", skipped.reason)
            shown.setdefault(kind, skipped.reason)
            paths.setdefault(kind, []).append(skipped.path)
        kinds = Counter({kind: len(found) for kind, found in paths.items()})
        return [(shown[kind], paths[kind]) for kind, _ in kinds.most_common()]


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
        "index": report.index,
        "checkpoint": report.checkpoint,
        "precision": report.precision,
        "seconds": round(report.seconds, 3),
        "gifs_per_second": round(report.gifs_per_second, 2),
    }


def as_text(report: BuildReport) -> str:
    """The report in some ten lines."""
    lines = [*report.notes]
    for reason, paths in report.reasons():
        named = ", ".join(paths[:MAX_NAMED])
        more = f" and {len(paths) - MAX_NAMED:,} more" if len(paths) > MAX_NAMED else ""
        lines.append(f"left out {len(paths):,}: {reason}: {named}{more}")
    lines.append(
        f"{report.n_gifs:,} GIFs with {report.n_frames:,} frames of {report.source}, by "
        f"{report.checkpoint} in {report.precision}: {_changes(report)}"
    )
    lines.append(f"duplicates: {_duplicates(report)}")
    lines.append(f"licences: {_licenses(report.licenses)}")
    lines.append(f"index: {report.index}")
    lines.append(f"time: {_speed(report)}")
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
    from jinja2 import Environment

    page = Environment(autoescape=True).from_string(_PAGE)
    return page.render(
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


def _duplicates(report: BuildReport) -> str:
    near = sum(map(len, report.groups)) - len(report.groups)
    return (
        f"{report.n_exact_duplicates:,} files with the same bytes as another, {near:,} GIFs that "
        f"look like another, in {len(report.groups):,} groups"
    )


def _licenses(licenses: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in licenses.items())


def _speed(report: BuildReport) -> str:
    if not report.n_pictures:
        return f"{report.seconds:.1f} s; nothing had to be embedded"
    pictures = report.n_pictures / report.seconds
    return (
        f"{report.seconds:.1f} s, {report.gifs_per_second:.1f} GIFs/s, {pictures:.0f} pictures/s; "
        + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in _stages(report))
    )


def _stages(report: BuildReport) -> Sequence[tuple[str, float]]:
    stages = report.stages
    return (
        ("encoding", stages.encode),
        ("waiting for decoded frames", stages.wait),
        ("writing", report.write_seconds),
        ("decoding beside it (processor time)", stages.decode),
    )


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ report.out }}: build report</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1rem .2rem 0;
  vertical-align: top } td.n { text-align: right; font-variant-numeric: tabular-nums }
details { margin: .3rem 0 } li { overflow-wrap: anywhere }
</style>
<h1>{{ report.out }}</h1>
<p><b>{{ "{:,}".format(report.n_gifs) }} GIFs</b> with {{ "{:,}".format(report.n_frames) }} frames
of {{ report.source }}, by {{ report.checkpoint }} in {{ report.precision }}: {{ changes }}.</p>
{% for note in report.notes %}<p>{{ note }}</p>{% endfor %}
<h2>Left out</h2>
{% for reason, paths in report.reasons() %}
<details><summary>{{ "{:,}".format(paths|length) }} × {{ reason }}</summary>
<ul>{% for path in paths %}<li>{{ path }}</li>{% endfor %}</ul></details>
{% else %}<p>Nothing.</p>{% endfor %}
<h2>Licences</h2>
<p>The licence of {{ "{:,}".format(known) }} of {{ "{:,}".format(report.n_gifs) }} GIFs is
known.</p>
<table>{% for name, count in report.licenses.items() %}
<tr><td>{{ name }}</td><td class="n">{{ "{:,}".format(count) }}</td></tr>{% endfor %}</table>
<h2>Duplicates</h2>
<p>{{ "{:,}".format(report.n_exact_duplicates) }} files with the same bytes as another, indexed
once. {{ report.groups|length }} groups of GIFs that look alike:</p>
<ul>{% for names in report.groups %}<li>{{ names|join(", ") }}</li>{% endfor %}</ul>
<h2>Index</h2>
<p>{{ report.index }}</p>
<h2>Speed</h2>
<p>{{ speed }}.</p>
<table>{% for name, seconds in stages %}
<tr><td>{{ name }}</td><td class="n">{{ "%.1f"|format(seconds) }} s</td></tr>{% endfor %}</table>
</html>
"""

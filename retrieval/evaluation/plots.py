"""Plots of an evaluation: hit rate by category, confusion of categories, score distributions.

Drawn with matplotlib's figures alone, without pyplot and its global state, as SVG with text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.kinds import confusion
from retrieval.evaluation.report import Evaluation, Line
from retrieval.output import StagedFolder, check_replaceable, resolve_output, storage_errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANIFEST = "plots.json"
MADE_BY = "reaction-search evaluate --plots"
NO_KIND = "(none)"


def write_plots(
    evaluation: Evaluation, kinds: Mapping[str, frozenset[str]], folder: Path
) -> list[Path]:
    """Draw what the collection allows, and replace the plots in the folder by it.

    By category only if topics have categories; confusion only if GIFs have kinds, too.
    OutputError if the folder holds other files and no plots.
    """
    import matplotlib

    out = check_plots_folder(folder)
    figures = {}
    if lines := evaluation.by_category():
        figures["hit-rate-by-category.svg"] = plot_categories(lines)
    table = confusion(evaluation.judged, evaluation.run, kinds) if kinds else {}
    if table:
        figures["confusion.svg"] = plot_confusion(table)
    figures["scores.svg"] = plot_scores(evaluation)
    with storage_errors(out), StagedFolder(out, owned_files) as staged:
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": MADE_BY}):
            for name, figure in figures.items():
                figure.savefig(staged.path / name, metadata={"Date": None}, bbox_inches="tight")
        described = {"made_by": MADE_BY, "files": list(figures)}
        (staged.path / MANIFEST).write_text(json.dumps(described) + "\n", encoding="utf-8")
        staged.commit()
    return [folder / name for name in figures]


def check_plots_folder(folder: Path) -> Path:
    """Resolve the folder; OutputError if other files than plots lie there."""
    out = resolve_output(folder)
    check_replaceable(out, owned_files, "a folder of plots")
    return out


def owned_files(folder: Path) -> tuple[str, ...] | None:
    """The files that a plot folder's manifest lists, itself last; None if it is none."""
    try:
        described = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = [name for name in described["files"] if Path(name).name == name]
        return (*names, MANIFEST) if described["made_by"] == MADE_BY else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def plot_categories(lines: Sequence[Line]) -> Figure:
    """Hit rates at 1 and 5 of each category with intervals, best first."""
    lines = sorted(lines, key=lambda line: line.estimates["Success@5"].mean)
    figure = _figure(7, 1.2 + 0.28 * len(lines))
    axes = figure.subplots()
    places = np.arange(len(lines))
    for name, label, shift, colour in (
        ("Success@5", "hit@5", 0.2, "#3d6fb6"),
        ("Success@1", "hit@1", -0.2, "#e08a2e"),
    ):
        found = [line.estimates[name] for line in lines]
        means = np.array([100 * f.mean for f in found])
        errors = [means - [100 * f.low for f in found], [100 * f.high for f in found] - means]
        axes.barh(places + shift, means, 0.38, label=label, color=colour)
        axes.errorbar(means, places + shift, xerr=errors, fmt="none", ecolor="#444", lw=0.8)
    axes.set_yticks(places, [f"{line.label} ({line.n_topics})" for line in lines])
    axes.set(xlim=(0, 100), xlabel="messages with a fitting GIF, % (95 % interval)")
    axes.set_title("Hit rate by reaction category")
    axes.legend(loc="lower right")
    return figure


def plot_confusion(table: Mapping[str, Mapping[str, float]]) -> Figure:
    """The category that a message calls for × the kind of the first result, row shares in %."""
    rows = sorted(table)
    found = {kind for counts in table.values() for kind in counts}
    columns = [*rows, *sorted(found - set(rows) - {""}), *([""] if "" in found else [])]
    shares = np.array([[table[row].get(column, 0.0) for column in columns] for row in rows])
    shares = 100 * shares / shares.sum(axis=1, keepdims=True)
    side = 2.5 + 0.2 * len(columns)
    figure = _figure(side + 1, 2 + 0.2 * len(rows))
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    names = [column or NO_KIND for column in columns]
    axes.set_xticks(range(len(columns)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    axes.set(xlabel="kind of the first result", ylabel="category called for")
    axes.set_title("What was called for, and what came first")
    figure.colorbar(image, label="share of the category's messages, %")
    return figure


def plot_scores(evaluation: Evaluation) -> Figure:
    """The distribution of scores of fitting and of other GIFs among the results."""
    fitting: list[float] = []
    others: list[float] = []
    for topic in evaluation.judged.topics:
        grades = evaluation.judged.qrels[topic.id]
        for document, score in evaluation.run.get(topic.id, ()):
            (fitting if grades.get(document, 0) > 0 else others).append(score)
    figure = _figure(7, 4)
    axes = figure.subplots()
    if fitting or others:
        bins = np.histogram_bin_edges([*fitting, *others], 40).tolist()
        for scores, label, colour in (
            (others, "others", "#9aa3ad"),
            (fitting, "fitting", "#3d6fb6"),
        ):
            if scores:
                weights = np.full(len(scores), 100 / len(scores))
                label = f"{label} ({len(scores):,})"
                axes.hist(scores, bins, weights=weights, alpha=0.65, label=label, color=colour)
        axes.legend()
    axes.set(xlabel="score", ylabel="share of these results, %")
    axes.set_title("Scores of fitting and other GIFs")
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))

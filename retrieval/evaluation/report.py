"""Tables of measures: over all topics, by reaction category, and by message length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from retrieval.evaluation.documents import DocumentNames
from retrieval.evaluation.judgements import JudgedSet, Qrels
from retrieval.evaluation.measures import MEASURES, Estimate, estimate, measure_run
from retrieval.evaluation.metrics import chance_hit_rate_at_k
from retrieval.evaluation.runs import Run

LENGTHS = ((3, "1–3 words"), (8, "4–8 words"), (15, "9–15 words"), (10**9, "16 or more words"))
HEADINGS = {"Success@1": "hit@1", "Success@5": "hit@5", "Success@10": "hit@10"}


@dataclass(frozen=True)
class Line:
    """A line of a table: measures over some topics, or by some method."""

    label: str
    n_topics: int
    estimates: Mapping[str, Estimate]

    def as_json(self) -> dict[str, Any]:
        measures = {
            name: {key: round(value, 6) for key, value in asdict(found).items()}
            for name, found in self.estimates.items()
        }
        return {"label": self.label, "n_topics": self.n_topics, "measures": measures}


@dataclass(frozen=True)
class Evaluation:
    """A run against judgements."""

    judged: JudgedSet
    run: Run
    values: Mapping[str, np.ndarray]  # per topic, in the order of judged.topics

    @classmethod
    def of(cls, judged: JudgedSet, run: Run) -> Evaluation:
        return cls(judged, run, measure_run(_only_topics(judged), run))

    def overall(self, label: str = "all") -> Line:
        return self._line(label, range(len(self.judged.topics)))

    def by_category(self) -> list[Line]:
        """A line per category, in order of name; empty if the topics have none."""
        return self._by([topic.category for topic in self.judged.topics])

    def by_length(self) -> list[Line]:
        """A line per class of message length in words, shortest first."""
        labels = [length_of(topic.n_words) for topic in self.judged.topics]
        lines = {line.label: line for line in self._by(labels)}
        return [lines[label] for _, label in LENGTHS if label in lines]

    def _by(self, labels: Sequence[str]) -> list[Line]:
        groups: dict[str, list[int]] = {}
        for number, label in enumerate(labels):
            groups.setdefault(label, []).append(number)
        groups.pop("", None)
        return [self._line(label, groups[label]) for label in sorted(groups)]

    def _line(self, label: str, numbers: Sequence[int]) -> Line:
        rows = list(numbers)
        found = {name: estimate(values[rows]) for name, values in self.values.items()}
        return Line(label, len(rows), found)


def _only_topics(judged: JudgedSet) -> Qrels:
    return {topic.id: judged.qrels[topic.id] for topic in judged.topics}


def length_of(n_words: int) -> str:
    """The class of a message with this many words.

    >>> [length_of(n) for n in (3, 4, 15, 16)]
    ['1–3 words', '4–8 words', '9–15 words', '16 or more words']
    """
    return next(label for longest, label in LENGTHS if n_words <= longest)


def chance(judged: JudgedSet, names: DocumentNames) -> Line:
    """The hit rates of a random order of the bundle's GIFs, without intervals."""
    n_gifs = len(names)
    counts = [
        sum(grade > 0 and names.has(document) for document, grade in judged.qrels[t.id].items())
        for t in judged.topics
    ]
    rates = {}
    for k in (1, 5, 10):
        rate = chance_hit_rate_at_k(counts, n_gifs, min(k, n_gifs))
        rates[f"Success@{k}"] = Estimate(rate, rate, rate)
    return Line("chance", len(counts), rates)


def as_markdown(lines: Sequence[Line], head: str, p_values: Sequence[float | None] = ()) -> str:
    """Return a Markdown table; with `p_values`, of a last column of these."""
    headings = [head, "topics", *(HEADINGS.get(name, name) for name in MEASURES)]
    headings += ["p"] if p_values else []
    table = ["| " + " | ".join(headings) + " |", "|---|" + "---:|" * (len(headings) - 1)]
    for number, line in enumerate(lines):
        cells = [line.label, f"{line.n_topics:,}"]
        cells += [_cell(name, line.estimates.get(name)) for name in MEASURES]
        if p_values:
            p = p_values[number]
            cells.append("" if p is None else f"{p:.4f}")
        table.append("| " + " | ".join(cells) + " |")
    return "\n".join(table)


def _cell(name: str, found: Estimate | None) -> str:
    if found is None:
        return ""
    mean, low, high = (format_value(name, v) for v in (found.mean, found.low, found.high))
    unit = " %" if is_share(name) else ""
    return f"{mean}{unit}" if low == high else f"{mean}{unit} ({low}–{high})"


def is_share(name: str) -> bool:
    """Whether a measure is shown in per cent: hit rates and recall."""
    return name.startswith(("Success@", "R@"))


def format_value(name: str, value: float) -> str:
    """
    >>> format_value("Success@1", 0.581), format_value("RR", 0.7)
    ('58.1', '0.700')
    """
    return f"{100 * value:.1f}" if is_share(name) else f"{value:.3f}"

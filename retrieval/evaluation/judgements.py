"""Topics and judgements: what a test collection says of a bundle.

A topic is a message, in a TSV file (`id<TAB>message[<TAB>category]`) or in JSON lines with the
keys id, text and category. Judgements are TREC qrels, `topic 0 document grade` a line, with
grade 0 for a GIF that does not fit, 1 for one that does and 2 for an exact answer
(https://trec.nist.gov/data/qrels_eng/). A document is a GIF's file name or its id; file names
may contain spaces, as the first, second and last columns are fixed.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.errors import JudgementError, QueryError, reason_of
from retrieval.evaluation.documents import DocumentNames
from retrieval.output import storage_errors
from retrieval.search import check_message

Qrels = Mapping[str, Mapping[str, int]]  # topic id → document → grade

_QRELS_LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S|\S.*\S)\s+(-?\d+)")
_TOPIC_ID = re.compile(r"\S+")


@dataclass(frozen=True)
class Topic:
    """A message of a test collection, and the reaction category that it calls for, if known."""

    id: str  # without spaces
    text: str
    category: str = ""

    @property
    def n_words(self) -> int:
        return len(self.text.split())


@dataclass(frozen=True)
class JudgedSet:
    """Topics with their judgements; every topic has a fitting document."""

    name: str
    topics: tuple[Topic, ...]
    qrels: Qrels
    notes: tuple[str, ...] = ()  # sentences on what was left out

    def __post_init__(self) -> None:
        if not self.topics:
            raise JudgementError(f"{self.name} has no topics.")
        for topic in self.topics:
            if max(self.qrels.get(topic.id, {}).values(), default=0) < 1:
                raise JudgementError(
                    f"Topic {topic.id} of {self.name} has no fitting document (grade 1 or more). "
                    f"Judge it, or take it out of the topics."
                )

    def resolve(self, names: DocumentNames) -> JudgedSet:
        """Return the set with documents named by their ids, the best grade of each.

        A document that the bundle lacks keeps its name, and so counts as not found; a note
        says how many there are. JudgementError if the bundle has none of them.
        """
        missing: dict[str, None] = {}
        resolved: dict[str, dict[str, int]] = {}
        n_judged = 0
        for topic in self.topics:
            grades = resolved.setdefault(topic.id, {})
            for document, grade in self.qrels[topic.id].items():
                n_judged += 1
                gif_id = names.resolve(document)
                if gif_id is None:
                    missing[document] = None
                grades[gif_id or document] = max(grade, grades.get(gif_id or document, grade))
        if missing and not any(names.has(d) for grades in resolved.values() for d in grades):
            raise JudgementError(
                f"None of the {len(missing):,} judged documents of {self.name} is in the bundle, "
                f"such as {next(iter(missing))}. Name their bundle with --bundle."
            )
        notes = self.notes
        if missing:
            listed = ", ".join(list(missing)[:3]) + (" …" if len(missing) > 3 else "")
            notes += (
                f"Judged, but not in the bundle, and so counted as not found "
                f"({len(missing):,}): {listed}",
            )
        return replace(self, qrels=resolved, notes=notes)


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line) of a UTF-8 file, without empty lines."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise JudgementError(
            f"{path} cannot be read as UTF-8 text ({reason_of(error)})."
        ) from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def read_topics(path: Path) -> tuple[Topic, ...]:
    """Return the topics of a TSV or .jsonl file; JudgementError names the line of a wrong one."""
    parse = _topic_of_json if path.suffix.lower() in (".jsonl", ".json") else _topic_of_tsv
    topics: dict[str, Topic] = {}
    for number, line in numbered_lines(path):
        try:
            topic = parse(line)
            if not _TOPIC_ID.fullmatch(topic.id):
                raise ValueError(f"the id {topic.id!r} is empty or contains spaces")
            if topic.id in topics:
                raise ValueError(f"the id {topic.id} stands twice")
            check_message(topic.text)
        except (ValueError, QueryError) as error:
            raise JudgementError(f"{path}, line {number}: {error}") from error
        topics[topic.id] = topic
    if not topics:
        raise JudgementError(f"{path} has no topics in it. Write one a line: id<TAB>message")
    return tuple(topics.values())


def _topic_of_tsv(line: str) -> Topic:
    cells = [cell.strip() for cell in line.split("\t")]
    if not 2 <= len(cells) <= 3:
        raise ValueError(f"expected id<TAB>message[<TAB>category], got {line[:80]!r}")
    return Topic(*cells)


def _topic_of_json(line: str) -> Topic:
    expected = 'expected {"id": …, "text": …, "category": …}'
    try:
        record = json.loads(line)
        return Topic(str(record["id"]), str(record["text"]), str(record.get("category") or ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{expected}, got {line[:80]!r}") from error


def write_topics(topics: Sequence[Topic], path: Path) -> None:
    """Write topics as TSV; whitespace in a message becomes single spaces."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None
        )
        for topic in topics:
            cells = [topic.id, " ".join(topic.text.split())]
            writer.writerow([*cells, topic.category] if topic.category else cells)


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Return the judgements of a TREC qrels file; JudgementError names the line of a wrong one."""
    qrels: dict[str, dict[str, int]] = {}
    for number, line in numbered_lines(path):
        match = _QRELS_LINE.fullmatch(line.strip())
        if match is None:
            raise JudgementError(
                f"{path}, line {number}: expected topic 0 document grade, got {line[:80]!r}"
            )
        topic, _, document, grade = match.groups()
        grades = qrels.setdefault(topic, {})
        if grades.setdefault(document, int(grade)) != int(grade):
            raise JudgementError(
                f"{path}, line {number}: {document} has grade {grade} for {topic} here, and "
                f"{grades[document]} further up"
            )
    if not qrels:
        raise JudgementError(f"{path} has no judgements in it. Write topic 0 document grade lines.")
    return qrels


def write_qrels(qrels: Qrels, path: Path) -> None:
    """Write judgements as TREC qrels. JudgementError if there is a file that holds none."""
    check_replaceable_file(path, read_qrels, "a file of judgements")
    lines = [
        f"{topic} 0 {document} {grade}\n"
        for topic, grades in qrels.items()
        for document, grade in grades.items()
    ]
    with storage_errors(path):
        path.write_text("".join(lines), encoding="utf-8")


def check_replaceable_file(path: Path, read: Callable[[Path], object], what: str) -> None:
    """JudgementError if there is a file that `read` rejects: it is not ours to replace."""
    if path.exists():
        try:
            read(path)
        except JudgementError as error:
            raise JudgementError(
                f"{path} exists and is not {what}, so it is not replaced. Name another file."
            ) from error


def read_judged_set(topics: Path, qrels: Path) -> JudgedSet:
    """Return the topics of one file with the judgements of another."""
    return JudgedSet(topics.name, read_topics(topics), read_qrels(qrels))

"""Readers of test collections: the starter, ReactionGIF, and data sets with text and media.

Their judgements name documents by id. They are made for one bundle and hold what is in it.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retrieval.errors import JudgementError, QueryError
from retrieval.evaluation.data import load_messages, load_reactions
from retrieval.evaluation.documents import DocumentNames
from retrieval.evaluation.judgements import JudgedSet, Topic, numbered_lines
from retrieval.evaluation.kinds import category_name, fitting_by_kind, kinds_of
from retrieval.search import check_message

OWN_REPLY = 2  # the grade of the GIF that was sent; 1 for others of its category


def starter_set(name: str, names: DocumentNames) -> JudgedSet:
    """Return data/messages/NAME.jsonl ("test" or "dev") with the GIFs of each category.

    JudgementError if a category has no GIF in the bundle.
    """
    topics = tuple(
        Topic(f"{name}-{number:03}", message.text, message.category)
        for number, message in enumerate(load_messages(name), 1)
    )
    kinds = kinds_of(names.records.values())
    return JudgedSet(f"starter, {name} messages", topics, fitting_by_kind(topics, kinds))


def reactiongif_set(path: Path, names: DocumentNames, limit: int | None = None) -> JudgedSet:
    """Return the tweets of a ReactionGIF file (Shmueli et al., ACL 2021) as topics.

    The file has JSON lines, or CSV with a header, with the fields idx, label and text; the
    published ids have no text, which fetch-tweets.py of that repository adds. With --gifs it
    also adds the address of the reply: if the bundle has that GIF, it gets grade 2. GIFs of the
    same category get grade 1.

    JudgementError if there are no texts, or the bundle has neither replies nor categories.
    """
    known = set(load_reactions())
    topics, replies = [], {}
    n_rows = n_without_text = 0
    for number, row in _rows_of(path):
        n_rows += 1
        category = category_name(str(row.get("label") or ""))
        if category not in known:
            raise JudgementError(
                f"{path}, line {number}: label is {row.get('label')!r}; expected one of "
                f"ReactionGIF's 43 categories, such as {sorted(known)[0]}"
            )
        text = str(row.get("text") or "")
        if not _is_message(text):
            n_without_text += 1
            continue
        topic = Topic(f"reactiongif-{row.get('idx', number)}".replace(" ", "-"), text, category)
        topics.append(topic)
        reply = str(row.get("reply") or "")
        # By its address, or as a file of that name.
        gif_id = reply and (names.resolve(reply) or names.resolve(reply.rpartition("/")[2]))
        if gif_id:
            replies[topic.id] = gif_id
        if len(topics) == limit:
            break
    if not topics:
        raise JudgementError(
            f"{path} has no texts in its {n_rows:,} rows. Fetch them with fetch-tweets.py of "
            f"github.com/bshmueli/ReactionGIF, and name the file that it writes."
        )
    qrels = fitting_by_kind(topics, kinds_of(names.records.values()))
    for topic_id, gif_id in replies.items():
        qrels[topic_id][gif_id] = OWN_REPLY
    answered = tuple(topic for topic in topics if qrels[topic.id])
    if not answered:
        raise JudgementError(
            f"The bundle has none of the GIFs that {path} names, and none with an emoji or a "
            f"tag of ReactionGIF's categories. Build one of the replies, or tag its GIFs."
        )
    notes = []
    if n_without_text:
        notes.append(f"Rows without text, left out: {n_without_text:,} of {n_rows:,}")
    if len(answered) < len(topics):
        n = len(topics) - len(answered)
        notes.append(f"Messages left out, as the bundle has no GIF of their category: {n:,}")
    return JudgedSet(path.name, answered, qrels, tuple(notes))


def _rows_of(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    lines = numbered_lines(path)
    if path.suffix.lower() == ".csv":
        text = path.read_text(encoding="utf-8-sig") if next(lines, None) else ""
        reader = csv.DictReader(text.splitlines(keepends=True))
        for record in reader:
            yield reader.line_num, record
        return
    for number, line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise JudgementError(
                f'{path}, line {number}: expected {{"idx": …, "label": …, "text": …}}, '
                f"got {line[:80]!r}"
            )
        yield number, row


def _is_message(text: str) -> bool:
    try:
        check_message(text)
    except QueryError:
        return False
    return True


def dataset_set(
    name: str,
    text_column: str,
    media_column: str,
    names: DocumentNames,
    split: str | None = None,
    limit: int | None = None,
) -> JudgedSet:
    """Return the texts of a `datasets` data set; the row's own medium fits, no other.

    Rows with the same text are one topic. Rows without text, or whose medium the bundle lacks,
    are left out. JudgementError if none is left.
    """
    from retrieval.build.datasets import DatasetSource  # `datasets` is an extra

    source = DatasetSource(name, split, limit, media_column=media_column, text_column=text_column)
    topics: dict[str, Topic] = {}  # by text
    qrels: dict[str, dict[str, int]] = {}
    n_without_text = n_absent = n_own_title = 0
    for item in source:
        number = item.name.rpartition(" ")[2]  # of the row
        text = str(item.described.get("title", ""))
        if not _is_message(text):
            n_without_text += 1
            continue
        if item.url is not None:
            gif_id = names.resolve(item.url)
        else:
            data = item.data if item.path is None else item.path.read_bytes()
            gif_id = hashlib.sha256(data or b"").hexdigest()
        if gif_id is None or not names.has(gif_id):
            n_absent += 1
            continue
        n_own_title += names.records[gif_id].title == text
        topic = topics.setdefault(text, Topic(f"row-{number}", text))
        qrels.setdefault(topic.id, {})[gif_id] = 1
    if not topics:
        raise JudgementError(
            f"None of the rows of {source.label} has a text, and a medium that the bundle has "
            f"({n_without_text:,} without text, {n_absent:,} not in the bundle). Build the bundle "
            f"of it: reaction-search build dataset:{name} --out BUNDLE"
        )
    counts = (
        (source.n_left_out, "Rows that cannot be read, left out"),
        (n_without_text, "Rows without text, left out"),
        (n_absent, "Rows left out, as the bundle lacks their medium"),
        (
            n_own_title,
            "GIFs with their message as title, which gives the answer away unless the signal names "
            "is left out",
        ),
    )
    notes = tuple(f"{what}: {n:,}" for n, what in counts if n)
    return JudgedSet(source.label, tuple(topics.values()), qrels, notes)

"""Readers of test collections: the starter, ReactionGIF, data sets, and the judged sets."""

import json
from pathlib import Path

import pytest
from PIL import Image

from retrieval.errors import JudgementError, SourceError
from retrieval.evaluation import (
    DocumentNames,
    Topic,
    dataset_set,
    kinds_of,
    load_messages,
    reactiongif_set,
    read_judged_set,
    relevant_to,
    starter_set,
)
from retrieval.evaluation.data import load_reactions
from retrieval.library import Record
from retrieval.paths import ROOT
from tests.support.judged import (
    NAMES,
    record,
)

# Readers


def reaction_records() -> list[Record]:
    emoji = sorted({char for chars in load_reactions().values() for char in chars})
    return [record(number, f"{number}.gif", emoji=char) for number, char in enumerate(emoji)]


def test_starter_set_judges_as_the_tasks_do():
    records = reaction_records()
    judged = starter_set("dev", DocumentNames(records))
    relevant = relevant_to(load_messages("dev"), records)
    assert len(judged.topics) == len(relevant) == 215
    for topic, row in zip(judged.topics, relevant, strict=True):
        assert set(judged.qrels[topic.id]) == {
            r.id for r, fits in zip(records, row, strict=True) if fits
        }


def test_kinds_come_from_emoji_or_else_from_tags():
    by_tag = record(1, "a.gif", tags=("Happy Dance", "cats"))
    by_emoji = record(2, "b.gif", emoji="😘", tags=("no",))
    kinds = kinds_of([by_tag, by_emoji, record(3, "c.gif")])
    assert kinds[by_tag.id] == {"happy_dance"} and "kiss" in kinds[by_emoji.id]
    assert "no" not in kinds[by_emoji.id] and len(kinds) == 2


REACTIONGIF = [
    {"idx": 7, "label": "happy_dance", "text": "we won!", "reply": "https://t.example/x/AbC.mp4"},
    {"idx": 9, "label": "kiss", "text": "", "reply": None},
    {"idx": 11, "label": "kiss", "text": "good night"},
]


def test_reactiongif_is_judged_by_category_and_by_its_own_reply(tmp_path: Path):
    records = [
        record(1, "a.gif", tags=("happy dance",)),
        record(2, "media/AbC.mp4"),
        record(3, "b.gif", tags=("no",)),
    ]
    path = tmp_path / "ReactionGIF.json"
    path.write_text("\n".join(map(json.dumps, REACTIONGIF)))
    judged = reactiongif_set(path, DocumentNames(records))
    assert judged.topics == (Topic("reactiongif-7", "we won!", "happy_dance"),)
    assert judged.qrels["reactiongif-7"] == {records[0].id: 1, records[1].id: 2}
    assert judged.notes == (
        "Rows without text, left out: 1 of 3",
        "Messages left out, as the bundle has no GIF of their category: 1",
    )
    csv_file = tmp_path / "r.csv"
    csv_file.write_text('idx,label,text\n7,happy_dance,"we won,\n at last"\n')
    (topic,) = reactiongif_set(csv_file, DocumentNames(records)).topics
    assert topic.id == "reactiongif-7" and "at last" in topic.text


def test_reactiongif_errors_say_what_is_missing(tmp_path: Path):
    path = tmp_path / "ReactionGIF.ids.json"
    path.write_text('{"idx": 7, "original_id": "1", "reply_id": "2", "label": "kiss"}\n')
    with pytest.raises(JudgementError, match=r"no texts in its 1 rows. Fetch them with fetch-tw"):
        reactiongif_set(path, NAMES)
    path.write_text('{"idx": 7, "label": "kiss", "text": "hi"}\n{"idx": 8, "label": "grin"}\n')
    with pytest.raises(JudgementError, match="line 2: label is 'grin'; expected one of"):
        reactiongif_set(path, NAMES)
    path.write_text('{"idx": 7, "label": "kiss", "text": "hi"}\n')
    with pytest.raises(JudgementError, match="The bundle has none of the GIFs that"):
        reactiongif_set(path, NAMES)
    path.write_text("kiss\n")
    with pytest.raises(JudgementError, match=r"line 1: expected {\"idx\""):
        reactiongif_set(path, NAMES)


def save_image_folder(folder: Path, texts: dict[str, str]) -> list[Record]:
    import hashlib

    folder.mkdir()
    records, lines = [], []
    for number, (name, text) in enumerate(texts.items()):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / name)
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        records.append(Record(digest, name, text if name == "c.png" else "a title"))
        lines.append(json.dumps({"file_name": name, "said": text}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return records


def test_dataset_row_fits_its_own_medium(tmp_path: Path):
    texts = {"a.png": "so tired", "b.png": "", "c.png": "we won", "d.png": "so tired", "e.png": "x"}
    records = save_image_folder(tmp_path / "set", texts)
    names = DocumentNames(records[:4])
    judged = dataset_set(str(tmp_path / "set"), "said", "image", names)
    assert [topic.text for topic in judged.topics] == ["so tired", "we won"]
    assert [set(judged.qrels[topic.id]) for topic in judged.topics] == [
        {records[0].id, records[3].id}, {records[2].id},
    ]  # fmt: skip
    assert judged.notes[:2] == (
        "Rows without text, left out: 1",
        "Rows left out, as the bundle lacks their medium: 1",
    )
    assert judged.notes[2].startswith("GIFs with their message as title") and "1" in judged.notes[2]


def test_dataset_errors_name_the_column_or_the_build(tmp_path: Path):
    save_image_folder(tmp_path / "set", {"a.png": "so tired", "b.png": "no"})
    with pytest.raises(SourceError, match="no column caption, only image, said"):
        dataset_set(str(tmp_path / "set"), "caption", "image", NAMES)
    with pytest.raises(JudgementError, match="reaction-search build dataset:"):
        dataset_set(str(tmp_path / "set"), "said", "image", NAMES)


@pytest.mark.parametrize(
    ("name", "n_topics", "n_judged", "n_files"),
    [
        ("skyzyx-reaction-gifs", 60, 584, 315),
        ("nalanj-gifliberry", 60, 679, 169),
        ("tyndyll-responses", 40, 309, 112),
        ("bennadel-reaction-gifs", 20, 83, 24),
    ],
)
def test_judged_sets_are_complete(name: str, n_topics: int, n_judged: int, n_files: int):
    folder = ROOT / "data" / "judgements" / name
    judged = read_judged_set(folder / "topics.tsv", folder / "qrels.txt")
    assert len(judged.topics) == len(judged.qrels) == n_topics
    assert sum(map(len, judged.qrels.values())) == n_judged
    files = (folder / "files.txt").read_text(encoding="utf-8").splitlines()
    assert len(files) == n_files
    assert {name for grades in judged.qrels.values() for name in grades} <= set(files)

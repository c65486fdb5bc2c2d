"""A few GIFs with names, topics over them, and a fake searcher whose order is known."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from retrieval.evaluation import DocumentNames, Topic
from retrieval.library import Record


def record(number: int, *places: str, **more: Any) -> Record:
    """A GIF with this number as its id, at these places."""
    return Record(f"{number:064x}", places[0] if places else "", "a title", places=places, **more)


RECORDS = [
    record(1, "/gifs/so sad.gif", "/gifs/deep/so sad copy.gif"),
    record(2, "/gifs/party.gif"),
    record(3, "/gifs/a/same.gif"),
    record(4, "/gifs/b/same.gif"),
    record(5, "https://example.com/gifs/two%20cats.gif?w=9"),
]
SAD, PARTY, SAME_A, SAME_B, CATS = (r.id for r in RECORDS)
NAMES = DocumentNames(RECORDS)
TOPICS = (Topic("t1", "my cat ran away", "sad"), Topic("t2", "we won!", "win"))
QRELS = {"t1": {"so sad.gif": 2, "two cats.gif": 1}, "t2": {"party.gif": 1, "so sad.gif": 0}}


class FakeSearcher:
    """Stands in for Searcher: "names" ranks the GIFs upwards, any other signal downwards."""

    signals = ("frames", "words", "names")

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []

    def ask_all(self, messages: Sequence[str], top_k: int, **options: Any) -> list[list[Any]]:
        self.asked.append(options)
        ids = [r.id for r in RECORDS]
        if options.get("signals") != ("names",):
            ids.reverse()
        found = [
            SimpleNamespace(record=SimpleNamespace(id=gif_id), score=1 / place)
            for place, gif_id in enumerate(ids[:top_k], 1)
        ]
        return [found for _ in messages]

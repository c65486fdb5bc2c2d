"""The path of a query, as docs/architecture.md lists it."""

import re
import sys
import threading
from pathlib import Path

from retrieval.paths import PACKAGE, ROOT, STARTER
from retrieval.search import Filter, Searcher
from retrieval.web.loader import OneThreadEncoder
from views.question import Question, embed_question


def listed_functions() -> set[tuple[str, str]]:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.partition("## The path of a query")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \| `(.+?)` \|", section, re.MULTILINE)
    return {
        (file, name.rpartition(".")[2])
        for names, file in rows
        for name in re.findall(r"`(.+?)`", names)
    }


def test_query_path_is_listed_in_the_architecture():
    searcher = Searcher.open(STARTER)
    searcher = Searcher(searcher.collection, OneThreadEncoder(searcher.encoder))
    question = Question("I got the job 🎉", "", "", 0.5, None, 1.0)
    keep = Filter(min_score=-1.0)

    def ask() -> None:
        searcher.search(embed_question(question, searcher), 12, fold=True, keep=keep)

    ask()  # what is loaded or computed once is not on the path of a query
    called: set[tuple[str, str]] = set()
    reached_faiss = False

    def record(frame, event, argument) -> None:
        nonlocal reached_faiss
        file, name = Path(frame.f_code.co_filename), frame.f_code.co_name
        if event != "call" or reached_faiss:
            return
        reached_faiss = file.parent.name == "faiss"
        if file.is_relative_to(PACKAGE) and not name.startswith("<") and name != "__len__":
            called.add((file.relative_to(PACKAGE).as_posix(), name))

    threading.setprofile(record)  # the encoder's thread starts anew, with the profile
    sys.setprofile(record)
    try:
        searcher.encoder = OneThreadEncoder(searcher.encoder._encoder)
        called.clear()
        ask()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert reached_faiss
    assert called == listed_functions()
    assert len(called) <= 15 and len({file for file, _ in called}) <= 7

"""The path of a query, as docs/architecture.md lists it."""

import re
import sys
import threading
from pathlib import Path

import pytest

from retrieval.api import Question, understand_question
from retrieval.paths import PACKAGE, ROOT
from retrieval.search import Filter, Searcher
from retrieval.search.fusion import Fusion
from retrieval.search.ranker import Ranker
from retrieval.signals import phrases
from retrieval.web.loader import OneThreadEncoder
from tests.support.signal_bundle import build_signal_bundle

Functions = set[tuple[str, str]]


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    searcher = Searcher.open(build_signal_bundle(tmp_path_factory.mktemp("path")))
    return Searcher(searcher.collection, OneThreadEncoder(searcher.encoder))


def listed_functions(path: str) -> Functions:
    """The functions that the architecture lists for "signals", or for "frames" alone."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.partition("## The path of a query")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \| `(.+?)` \| (\w+) \|", section, re.MULTILINE)
    return {
        (file, name.rpartition(".")[2])
        for names, file, of_paths in rows
        if of_paths in (path, "both")
        for name in re.findall(r"`(.+?)`", names)
    }


def called_functions(searcher: Searcher, ranked_by: type, message: str) -> Functions:
    """Our functions that a message goes through, until GIFs are ranked by `ranked_by.rank`."""

    def ask(message: str) -> None:
        question = Question(message=message)
        searcher.search(understand_question(question, searcher), 12, fold=True, keep=Filter())

    ask("thank you")  # what is loaded or computed once is not on the path of a query
    phrases._trigrams.cache_clear()  # those of a message are, if no test before asked the same
    called: Functions = set()
    is_ranked = False

    def record(frame, event, argument) -> None:
        nonlocal is_ranked
        file, name = Path(frame.f_code.co_filename), frame.f_code.co_name
        if is_ranked or not file.is_relative_to(PACKAGE):
            return
        is_ranked = event == "return" and frame.f_code is ranked_by.rank.__code__
        if event == "call" and not name.startswith("<") and not name.startswith("__len"):
            called.add((file.relative_to(PACKAGE).as_posix(), name))

    threading.setprofile(record)  # the encoder's thread starts anew, with the profile
    sys.setprofile(record)
    try:
        searcher.encoder = OneThreadEncoder(searcher.encoder._encoder)
        searcher.__dict__["_sentences"] = searcher.encoder  # kept from the first search
        called.clear()
        ask(message)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert is_ranked
    return called


def test_path_of_a_message_by_all_signals_is_listed_in_the_architecture(searcher: Searcher):
    called = called_functions(searcher, Fusion, "I got the job 🎉")
    assert called == listed_functions("signals")
    # Three texts to compare instead of one vector; 24 in 10 by frames alone, below.
    assert (len(called), len({file for file, _ in called})) == (48, 16)


def test_path_of_a_message_by_frames_is_listed_in_the_architecture(searcher: Searcher):
    searcher = Searcher(searcher.collection, searcher.encoder)
    searcher._gif_signals = None  # as in a bundle without signals
    called = called_functions(searcher, Ranker, "I got the job! 🎉")
    assert called == listed_functions("frames")
    assert (len(called), len({file for file, _ in called})) == (24, 10)

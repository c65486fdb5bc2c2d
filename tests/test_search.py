"""Ranking, with scores worked out by hand and FAISS beside brute force."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import BLUE, RED, FakeEncoder, save_gif
from PIL import Image

from retrieval.build.build import build_index
from retrieval.errors import MediaError, QueryError
from retrieval.library.bundle import Bundle
from retrieval.library.embeddings import FrameEmbeddings
from retrieval.search.query import MAX_MESSAGE_CHARS, Filter, Term, chat_terms
from retrieval.search.searcher import Searcher


def titles(results) -> list[str]:
    return [result.record.title for result in results]


def test_row_i_of_the_index_is_row_i_of_the_embeddings(bundle: Bundle):
    embeddings: FrameEmbeddings = bundle.embeddings
    assert embeddings.starts().tolist() == [0, 1, 3, 4]  # the second has two frames
    assert len(bundle.records) == 4
    found = [bundle.index.search(vector, len(embeddings)) for vector in embeddings.vectors]
    by_row = [scores[np.argsort(rows)] for scores, rows in found]
    np.testing.assert_allclose(by_row, embeddings.vectors @ embeddings.vectors.T, atol=1e-6)


def test_a_gif_scores_as_its_best_frame_and_names_it(searcher: Searcher):
    results = searcher.ask("blue")
    assert titles(results)[0] == "b red blue"
    assert results[0].score == pytest.approx(1.0)
    assert (results[0].best_frame, results[0].best_frame_ms) == (1, 100)
    assert [r.rank for r in results] == [1, 2, 3, 4]


def test_mean_pooling_scores_the_mean_of_the_frames(tmp_path: Path, library: Path):
    build_index(library, tmp_path / "mean", FakeEncoder(), pooling="mean")
    results = Searcher(Bundle.open(tmp_path / "mean"), FakeEncoder()).ask("red")
    # Frames (1,0,0) and (0,0,1): their mean at unit length has cosine 1/√2 to red.
    scores = {r.record.title: r.score for r in results}
    assert scores["a red"] == pytest.approx(1.0)
    assert scores["b red blue"] == pytest.approx(2**-0.5)
    assert results[titles(results).index("b red blue")].best_frame == 0


def test_equal_scores_keep_the_order_of_the_catalogue(searcher: Searcher):
    assert titles(searcher.ask("red"))[:2] == ["a red", "b red blue"]


def test_a_negative_text_pushes_its_like_down_and_scores_stay_cosines(searcher: Searcher):
    results = searcher.ask("yellow", negative="green")
    # yellow - green/2 = (0.7071, 0.2071, 0) before it is made unit again.
    query = np.array([0.70711, 0.20711, 0]) / np.hypot(0.70711, 0.20711)
    scores = {r.record.title: r.score for r in results}
    assert scores["a red"] == pytest.approx(query[0], abs=1e-4)
    assert scores["c green"] == pytest.approx(query[1], abs=1e-4)
    assert titles(searcher.ask("yellow"))[0] == "d yellow"
    assert all(-1 <= r.score <= 1 for r in results)


def test_a_message_and_a_picture_weigh_the_same(searcher: Searcher, tmp_path: Path):
    picture = tmp_path / "green.png"
    Image.new("RGB", (20, 10), (0, 255, 0)).save(picture)
    assert titles(searcher.ask(image=picture))[0] == "c green"
    both = searcher.ask("red", image=picture)
    assert titles(both)[0] == "d yellow"
    assert both[0].score == pytest.approx(1.0, abs=1e-6)


def test_weights_move_the_answer(searcher: Searcher):
    query = searcher.embed([Term("red", 1.0), Term("green", 3.0)])
    np.testing.assert_allclose(query, np.array([1, 3, 0]) / 10**0.5, rtol=1e-5)


def test_near_duplicates_fold_under_the_better_one(tmp_path: Path, encoder: FakeEncoder):
    folder = tmp_path / "twins"
    save_gif(folder / "one.gif", [(255, 0, 0)])
    save_gif(folder / "two.gif", [(255, 9, 0)])
    save_gif(folder / "other.gif", [BLUE])
    build_index(folder, tmp_path / "b", encoder)
    searcher = Searcher(Bundle.open(tmp_path / "b"), encoder)
    assert len(searcher.ask("red")) == 3
    folded = searcher.ask("red", fold=True)
    assert titles(folded) == ["one", "other"]
    assert [r.title for r in folded[0].folded] == ["two"]


def test_top_k_finds_enough_gifs_when_one_gif_owns_the_nearest_frames(
    tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "many"
    save_gif(folder / "a-long.gif", [RED, BLUE] * 20)
    for i in range(12):
        save_gif(folder / f"b-{i:02}.gif", [(200, 20 * i, 0)])
    build_index(folder, tmp_path / "b", encoder, frames=40, pooling="best_frame")
    monkeypatch.setattr("retrieval.search.ranker.FRAMES_PER_GIF", 1)
    results = Searcher(Bundle.open(tmp_path / "b"), encoder).ask("red", top_k=6)
    assert titles(results) == ["a long", "b 00", "b 01", "b 02", "b 03", "b 04"]


def test_more_results_than_gifs_gives_all_of_them(searcher: Searcher):
    assert len(searcher.ask("red", top_k=1_000)) == 4


def test_many_messages_answer_in_order_as_one_by_one(searcher: Searcher):
    messages = ["green", "red", "blue", "red"]
    together = searcher.ask_all(messages, top_k=2)
    assert [titles(r) for r in together] == [titles(searcher.ask(m, top_k=2)) for m in messages]


def test_every_frame_says_its_score(searcher: Searcher):
    (best, *_) = searcher.ask("blue")
    assert [(f.index, f.time_ms, round(f.score, 4)) for f in best.frames] == [
        (0, 0, 0.0),
        (1, 100, 1.0),
    ]


def test_more_like_this_brings_the_gif_itself_and_its_neighbours(searcher: Searcher):
    yellow = next(r.record for r in searcher.ask("yellow"))
    results = searcher.search(searcher.like(yellow.id))
    assert results[0].record == yellow and results[0].score == pytest.approx(1)
    with pytest.raises(QueryError, match="No GIF 123 in this library"):
        searcher.like("123")


def test_a_filter_leaves_out_what_it_does_not_allow(tmp_path: Path, library: Path, encoder):
    rows = [
        {"file_name": "a-red.gif", "tags": ["warm"], "license": "MIT", "source": "here"},
        {"file_name": "d-yellow.gif", "tags": ["warm", "sun"], "license": "CC0-1.0"},
    ]
    (library / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    build_index(library, tmp_path / "b", encoder, pooling="best_frame")
    searcher = Searcher(Bundle.open(tmp_path / "b"), encoder)

    def found(**what) -> set[str]:
        return set(titles(searcher.ask("red", keep=Filter(**what))))

    assert found(tags=frozenset({"warm"})) == {"a red", "d yellow"}
    assert found(tags=frozenset({"sun"})) == {"d yellow"}
    assert found(licenses=frozenset({"MIT"})) == {"a red"}
    assert found(sources=frozenset({"here"})) == {"a red"}
    assert found(animated_only=True) == {"b red blue"}
    assert found(min_score=0.9) == {"a red", "b red blue"}
    assert found(min_score=1.1) == set()


def test_in_a_pasted_chat_the_last_line_counts_most(searcher: Searcher):
    assert titles(searcher.search(searcher.embed(chat_terms("red\n\ngreen\nblue"))))[0] == (
        "b red blue"
    )
    weights = [term.weight for term in chat_terms("\n".join("abcdefghij"))]
    assert weights == [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda s: s.ask(""), "The message is empty"),
        (lambda s: s.ask("  \n "), "The message is empty"),
        (lambda s: s.ask("x" * 100_000), f"100,000 characters; at most {MAX_MESSAGE_CHARS:,}"),
        (lambda s: s.ask(), "Nothing was asked"),
        (lambda s: s.ask("red", top_k=0), "top_k is 0"),
        (lambda s: s.embed([Term("red"), Term("red", -1)]), "cancel each other out"),
    ],
)
def test_what_cannot_be_asked_is_said(searcher: Searcher, ask, expected: str):
    with pytest.raises(QueryError, match=expected):
        ask(searcher)


def test_an_upload_that_is_no_picture_is_said(searcher: Searcher):
    with pytest.raises(MediaError, match="The upload cannot be searched with: no picture"):
        searcher.ask(image=b"not a picture at all")

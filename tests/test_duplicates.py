"""Near-duplicates: real copies of shipped GIFs, and cases that can be worked out on paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.edits import make_copies
from retrieval.embedding.pipeline import Pipeline, Work
from retrieval.encoders.load import load_encoder
from retrieval.library import duplicates
from retrieval.library.duplicates import group
from retrieval.library.embeddings import join
from retrieval.paths import STARTER

NAMES = ("brain", "clapping-hands", "fire", "robot")
EDITED = ("resize", "webp", "mp4", "trim", "retime")  # 1.00 of these are found


def library(gifs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(vectors, starts) of GIFs given as unit frames (n, dim) each."""
    lengths = [len(frames) for frames in gifs]
    return np.concatenate(gifs), np.cumsum([0, *lengths[:-1]])


def unit(vectors: np.ndarray | list[np.ndarray]) -> np.ndarray:
    vectors = np.asarray(vectors)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def random_gifs() -> list[np.ndarray]:
    """300 GIFs of one to eight frames in 64 dimensions; those from 200 on copy GIF i − 200."""
    rng = np.random.default_rng(0)
    gifs = [unit(rng.normal(size=64) + 0.3 * rng.normal(size=(i % 8 + 1, 64))) for i in range(200)]
    return gifs + [unit(g + 0.01 * rng.normal(size=g.shape)) for g in gifs[:100]]


def test_edited_copies_of_shipped_gifs_join_their_original_and_nothing_else(tmp_path: Path):
    items, families = [], []
    for number, name in enumerate(NAMES):
        path = STARTER / "media" / f"{name}.gif"
        copies = [file for _, file in make_copies(path, tmp_path, EDITED)]
        for file in (path, *copies):
            items.append(Work(file, file.read_bytes))
            families.append(number)
    encoder = load_encoder("mini")
    embeddings = join([done.frames for done in Pipeline(encoder).run(items)], encoder.dim)
    leaders = group(embeddings.vectors, embeddings.starts())
    size = 1 + len(EDITED)
    assert leaders.tolist() == [family * size for family in families]


def test_copies_follow_the_first_of_them_and_the_rest_stay_alone(random_gifs: list[np.ndarray]):
    leaders = group(*library(random_gifs))
    assert leaders.dtype == np.int64
    assert leaders.tolist() == [*range(200), *range(100)]


def test_a_group_is_led_by_its_first_gif_wherever_that_stands(random_gifs: list[np.ndarray]):
    order = np.random.default_rng(1).permutation(300)
    leaders = group(*library([random_gifs[i] for i in order]))
    origin = order % 200
    first = {g: position for position, g in reversed(list(enumerate(origin.tolist())))}
    assert leaders.tolist() == [first[g] for g in origin.tolist()]


@pytest.mark.parametrize("block", [1, 7, 299, 4_096])
def test_the_result_does_not_depend_on_the_block(random_gifs: list[np.ndarray], block: int):
    vectors, starts = library(random_gifs)
    assert (group(vectors, starts, block=block) == group(vectors, starts)).all()


def test_cells_find_what_comparing_all_finds(
    random_gifs: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(duplicates, "CELL", 20)
    vectors, starts = library(random_gifs)
    assert (group(vectors, starts, exhaustive=100) == group(vectors, starts)).all()


def test_a_float16_memory_map_gives_the_same(random_gifs: list[np.ndarray], tmp_path: Path):
    vectors, starts = library(random_gifs)
    np.save(tmp_path / "vectors.npy", vectors.astype(np.float16))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert (group(mapped, starts) == group(vectors, starts)).all()


def test_a_trimmed_copy_matches_by_the_frames_that_are_left():
    """Half of the frames the same, half of them not: the medians match, the minima do not."""
    rng = np.random.default_rng(2)
    shown = unit(rng.normal(size=64) + 0.25 * rng.normal(size=(8, 64)))
    others = [unit(rng.normal(size=(1, 64))) for _ in range(40)]
    leaders = group(*library([shown[:7], shown[1:], *others]))
    assert leaders.tolist() == [0, 0, *range(2, 42)]


def test_a_narrow_cone_makes_nothing_alike():
    """All cosines are 0.98 and more, as a checkpoint may have it, and none is a copy."""
    rng = np.random.default_rng(3)
    cone = [unit(10 * np.eye(64)[0] + 0.15 * rng.normal(size=(4, 64))) for _ in range(1_000)]
    vectors, starts = library(cone)
    assert (vectors[starts] @ vectors[starts].T).min() > 0.95
    assert group(vectors, starts).tolist() == list(range(1_000))


def test_a_chain_of_look_alikes_does_not_join_its_ends():
    """A turn of 15° at each step: next ones match (0.97), those two steps apart do not (0.87)."""
    angles = np.deg2rad(15 * np.arange(6))
    chain = [
        np.eye(64, dtype=np.float32)[:1] * np.cos(a) + np.eye(64)[1:2] * np.sin(a) for a in angles
    ]
    rng = np.random.default_rng(4)
    others = [unit(rng.normal(size=(1, 64))) for _ in range(300)]
    leaders = group(*library([*chain, *others]))
    for leader in set(leaders.tolist()):
        assert (leaders == leader).sum() <= 2


def test_two_copies_alone_are_found():
    """Their centre is what they share; it counts for little until there are more of them."""
    gif = unit(np.random.default_rng(5).normal(size=(1, 64)))
    assert group(*library([gif, gif])).tolist() == [0, 0]


def test_no_gif_and_one_gif():
    assert group(np.zeros((0, 64), np.float32), np.zeros(0, np.int64)).tolist() == []
    assert group(*library([np.eye(64, dtype=np.float32)[:3]])).tolist() == [0]

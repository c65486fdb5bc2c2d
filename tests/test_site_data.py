"""The data files of a static site are what the bundle and the Python search have."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FakeEncoder

from retrieval.encoders import ReactionModel
from retrieval.errors import BundleError
from retrieval.library import Bundle
from retrieval.paths import ROOT, STARTER
from retrieval.search import Searcher
from retrieval.signals import Reactions, signals_of
from retrieval.site import write_data
from retrieval.site.arrays import in_eight_bits, write_arrays
from retrieval.site.catalog import kept_frames
from retrieval.web import EXAMPLES, Uploads


@pytest.fixture(scope="module")
def searcher() -> Searcher:
    return Searcher.open(STARTER)


@pytest.fixture(scope="module")
def data(searcher: Searcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "new"
    write_data(searcher, folder)
    return folder


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays of a file, read by what data.json says of it."""
    content = (folder / name).read_bytes()
    return {
        part["name"]: np.frombuffer(
            content, part["dtype"], int(np.prod(part["shape"])), part["at"]
        ).reshape(part["shape"])
        for part in read(folder, "data.json")["files"][name]["arrays"]
    }


def vectors(folder: Path, name: str) -> np.ndarray:
    parts = arrays(folder, name)
    return parts["rows"].astype(np.float32) * parts["scales"][:, None]


def test_every_file_is_listed_with_its_size_and_hash(data: Path) -> None:
    files = read(data, "data.json")["files"]
    assert {*files} == {file.name for file in data.iterdir()} - {"data.json"}
    for name, facts in files.items():
        content = (data / name).read_bytes()
        assert (facts["bytes"], facts["sha256"]) == (len(content), sha256(content).hexdigest())


def test_no_file_names_a_folder_of_this_machine(data: Path) -> None:
    for name in ("data.json", "catalog.json"):
        text = (data / name).read_text(encoding="utf-8")
        assert str(ROOT) not in text and str(Path.home()) + "/" not in text


def test_vectors_in_eight_bits_keep_cosines_to_three_digits(searcher: Searcher, data: Path) -> None:
    signals = signals_of(searcher.collection)
    assert signals is not None and signals.names is not None
    for name, exact in (
        ("frames.bin", searcher.means(np.arange(267))),
        ("names.bin", np.asarray(signals.names.index.vectors, np.float32)),
        ("reactions.bin", ReactionModel.load().messages),
    ):
        found = vectors(data, name)
        assert found.shape == exact.shape
        queries = exact[:50]
        assert np.abs(queries @ found.T - queries @ exact.T).max() < 0.005
    assert (arrays(data, "names.bin")["gifs"] == signals.names.gifs).all()
    assert (arrays(data, "kinds.bin")["kinds"] == signals.kinds.astype(np.float16)).all()


def test_map_to_answers_is_that_of_the_reaction_model(searcher: Searcher, data: Path) -> None:
    sentence = ReactionModel.load().messages[5]
    answer = sentence @ arrays(data, "reactions.bin")["answer"].astype(np.float32)
    exact = Reactions.load().answers(sentence)
    assert answer / np.linalg.norm(answer) @ exact > 0.9999


def test_examples_of_the_page_are_understood(searcher: Searcher, data: Path) -> None:
    texts = read(data, "data.json")["examples"]
    assert texts[: len(EXAMPLES)] == list(EXAMPLES)
    found = arrays(data, "examples.bin")
    exact = searcher.encoder.encode_text(texts)
    assert np.allclose(found["vectors"], exact, atol=1e-5)
    assert np.allclose(found["reactions"].sum(axis=1), 1, atol=1e-4)


def test_catalogue_has_every_record(searcher: Searcher, data: Path) -> None:
    columns, records = read(data, "catalog.json"), searcher.collection.records
    assert columns["id"] == [record.id for record in records]
    assert columns["title"] == [record.title for record in records]
    for number in (0, 100, 266):
        tags = [columns["tags"]["values"][i] for i in columns["tags"]["of"][number]]
        assert tags == list(records[number].tags)
        (source,) = columns["source"]["of"][number]
        assert columns["source"]["values"][source] == records[number].source
        file = STARTER / records[number].uri
        assert columns["bytes"][number] == file.stat().st_size
        assert columns["suffix"][number] == ".gif"


def test_still_is_of_the_frame_that_is_nearest_to_the_mean(searcher: Searcher) -> None:
    frames = searcher.collection.embeddings
    means = searcher.means(np.arange(267))
    rows = kept_frames(frames, means)
    for gif in (0, 50, 266):
        own = np.flatnonzero(frames.gif_numbers == gif)
        assert rows[gif] in own
        best = (frames.vectors[own] @ means[gif]).max()
        assert frames.vectors[rows[gif]] @ means[gif] == pytest.approx(best)


def test_library_without_signals_has_frames_only(
    bundle: Bundle, encoder: FakeEncoder, tmp_path: Path
) -> None:
    facts = write_data(Searcher(bundle, encoder), tmp_path / "site")
    assert facts["signals"] == ["frames"] and facts["weights"] is None
    assert {*facts["files"]} == {"catalog.json", "cleaning.json", "examples.bin", "frames.bin"}
    red, mixed, *_ = vectors(tmp_path / "site", "frames.bin")
    assert np.allclose(red, [1, 0, 0], atol=0.01)
    assert np.allclose(mixed, [0.707, 0, 0.707], atol=0.01)  # the mean, also if the best is pooled
    assert len(facts["shown"]) == 43


def test_visitors_pictures_are_no_site(
    searcher: Searcher, encoder: FakeEncoder, bundle: Bundle, tmp_path: Path
) -> None:
    own = Uploads(
        "mine", bundle.records, bundle.embeddings, bundle.index, encoder.fingerprint, "best_frame"
    )
    with pytest.raises(BundleError, match="mine is no index bundle"):
        write_data(Searcher(own, encoder), tmp_path)


def test_arrays_of_other_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x is float64"):
        write_arrays(tmp_path / "x.bin", {"x": np.zeros(3)})
    rows, scales = in_eight_bits(np.zeros((2, 3)))
    assert not rows.any() and not scales.any()

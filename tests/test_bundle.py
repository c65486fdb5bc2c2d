"""A bundle opens as it was written, and says what is wrong when it was not."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from conftest import FakeEncoder

from retrieval.build.build import build_index
from retrieval.errors import BundleError
from retrieval.library.bundle import Bundle
from retrieval.search.searcher import Searcher
from tests.support.manifests import accept_changes, edit_manifest


def test_save_then_open_gives_the_same(bundle: Bundle, encoder: FakeEncoder):
    again = Bundle.open(bundle.path)
    assert [asdict(r) for r in again.records] == [asdict(r) for r in bundle.records]
    np.testing.assert_array_equal(again.embeddings.vectors, bundle.embeddings.vectors)
    first, second = (Searcher(b, encoder).ask("red") for b in (bundle, again))
    assert first == second


def test_the_manifest_says_how_it_was_made(bundle: Bundle):
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    assert manifest["checkpoint"] == "fake" and manifest["metric"] == "cosine"
    assert (manifest["n_gifs"], manifest["n_frames"], manifest["dim"]) == (4, 5, 3)
    assert manifest["licenses"] == {"unknown": 4}
    assert set(manifest["files"]) == {
        "catalog.parquet",
        "embeddings/part-00000.parquet",
        "vectors.faiss",
    }


def test_another_checkpoint_is_refused_with_the_command_that_mends_it(bundle: Bundle):
    with pytest.raises(BundleError) as error:
        Searcher(bundle, FakeEncoder("other"))
    message = str(error.value)
    assert "was built with fake" in message and "the encoder is other" in message
    assert f"reaction-search build FOLDER --out {bundle.path}" in message


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def corrupt(path: Path) -> None:
    path.write_bytes(bytes(len(path.read_bytes())))


def change(path: Path) -> None:
    """A byte of a number."""
    path.write_text(path.read_text().replace('"n_gifs": 4', '"n_gifs": 5'))


def accept_corrupt(bundle: Path, name: str) -> None:
    corrupt(bundle / name)
    accept_changes(bundle)


def unlist(bundle: Path, name: str) -> None:
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    edit_manifest(bundle, files={known: files[known] for known in files if known != name})


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda p: shutil.rmtree(p), "No index at"),
        (lambda p: (p / "manifest.json").unlink(), "holds no manifest.json"),
        (lambda p: (p / "manifest.json").write_text("{"), "is no manifest"),
        (lambda p: edit_manifest(p, format_version=99), "has format version 99"),
        (lambda p: edit_manifest(p, pooling="sum"), "pooling 'sum'"),
        (lambda p: edit_manifest(p, n_gifs=7), "has 4 GIFs in the catalogue"),
        (lambda p: edit_manifest(p, dim=7), "has 3 dimensions in the embeddings"),
        (lambda p: truncate(p / "vectors.faiss"), "vectors.faiss is truncated or changed"),
        (lambda p: corrupt(p / "vectors.faiss"), "vectors.faiss is not the file that was written"),
        (lambda p: corrupt(p / "catalog.parquet"), "is not the file that was written: SHA-256"),
        (lambda p: change(p / "manifest.json"), "its checksum does not fit"),
        (lambda p: accept_corrupt(p, "vectors.faiss"), "is no FAISS index that can be read"),
        (lambda p: accept_corrupt(p, "catalog.parquet"), "is damaged"),
        (lambda p: unlist(p, "vectors.faiss"), "vectors.faiss is not in the manifest"),
        (lambda p: unlist(p, "embeddings/part-00000.parquet"), "is not in the manifest"),
        (lambda p: (p / "vectors.faiss").unlink(), "vectors.faiss is missing"),
        (lambda p: shutil.rmtree(p / "embeddings"), "part-00000.parquet is missing"),
    ],
)
def test_what_is_broken_is_named_with_the_command_that_mends_it(bundle: Bundle, damage, expected):
    damage(bundle.path)
    with pytest.raises(BundleError) as error:
        Bundle.open(bundle.path)
    assert expected in str(error.value)
    assert f"reaction-search build FOLDER --out {bundle.path}" in str(error.value)


def test_a_build_that_dies_leaves_the_old_bundle_serving(bundle: Bundle, library: Path):
    class Dying(FakeEncoder):
        def encode_pixels(self, pixels):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(library, bundle.path, Dying(), fresh=True)
    assert len(Bundle.open(bundle.path).records) == 4


def test_a_rebuild_replaces_the_bundle_and_leaves_only_its_notes_beside_it(
    bundle: Bundle, library: Path, encoder: FakeEncoder
):
    (library / "a-red.gif").unlink()
    build_index(library, bundle.path, encoder)
    assert len(Bundle.open(bundle.path).records) == 3
    beside = sorted(p.name for p in bundle.path.parent.iterdir())
    assert beside == [".bundle.work", "bundle", "library"]
    kept = sorted(p.name for p in (bundle.path.parent / ".bundle.work").iterdir())
    assert kept == ["lock", "state.sqlite"]

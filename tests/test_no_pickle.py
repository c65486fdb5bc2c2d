"""Nothing that is loaded can run code: pickles are refused wherever a file is expected."""

from __future__ import annotations

import io
import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from retrieval.encoders import CHECKPOINTS, REACTIONS, ReactionModel, load_encoder
from retrieval.errors import BundleError, CheckpointError
from retrieval.paths import ROOT
from tests.support.flips import answers, write_small_bundle
from tests.support.manifests import accept_changes

PRODUCT = ("retrieval", "views", "space", "scripts", "app.py")
LOADS_PICKLES = re.compile(
    r"\b(pickle|cPickle|dill|cloudpickle|joblib|shelve|marshal)\b\s*\.|"
    r"import (pickle|cPickle|dill|cloudpickle|joblib|shelve|marshal)\b|"
    r"allow_pickle\s*=\s*True|read_pickle|yaml\.(load|unsafe_load|full_load)\("
)
TORCH_LOAD = re.compile(r"torch\.(load|jit\.load|hub\.load)\((?!.*weights_only=True)")


class Hostile:
    """Its pickle writes a file where it is loaded."""

    def __init__(self, mark: Path):
        self._mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "code-ran"


def in_zip(name: str, content: bytes) -> bytes:
    """An archive as torch.save and numpy.savez write them."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, content)
    return data.getvalue()


def hostile_files(mark: Path) -> dict[str, bytes]:
    bare = pickle.dumps(Hostile(mark))
    array = io.BytesIO()
    np.save(array, np.array([Hostile(mark)], object), allow_pickle=True)
    return {
        "bare": bare,
        "torch": in_zip("archive/data.pkl", bare),
        "npy": array.getvalue(),
        "npz": in_zip("names.npy", array.getvalue()),
    }


def test_hostile_files_do_run_code_where_pickles_are_loaded(mark: Path):
    """Else the other tests here would show nothing."""
    files = hostile_files(mark)
    pickle.loads(files["bare"])
    assert mark.exists()
    mark.unlink()
    np.load(io.BytesIO(files["npz"]), allow_pickle=True)["names"]
    assert mark.exists()


@pytest.mark.parametrize("form", ["bare", "torch", "npy", "npz"])
def test_pickle_in_the_place_of_any_file_of_a_bundle_is_a_named_error(
    tmp_path: Path, mark: Path, form: str
):
    bundle = write_small_bundle(tmp_path / "bundle", "signals")
    names = [path for path in sorted(bundle.rglob("*")) if path.is_file() and path.suffix != ".gif"]
    assert len(names) >= 13
    for file in names:
        kept, manifest = file.read_bytes(), (bundle / "manifest.json").read_bytes()
        file.write_bytes(hostile_files(mark)[form])
        if file.name != "manifest.json":
            accept_changes(bundle)
        with pytest.raises(BundleError):
            answers(bundle)
        file.write_bytes(kept)
        (bundle / "manifest.json").write_bytes(manifest)
    assert answers(bundle) and not mark.exists()


def test_pickle_of_a_checkpoint_is_refused(tmp_path: Path, mark: Path):
    config = {"model_cfg": {"embed_dim": 8}, "preprocess_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    for name in ("pytorch_model.bin", "open_clip_pytorch_model.bin", "weights.pt"):
        (tmp_path / name).write_bytes(hostile_files(mark)["torch"])
    with pytest.raises(CheckpointError, match="safetensors"):
        load_encoder(f"local-dir:{tmp_path}")
    assert not mark.exists()


@pytest.mark.parametrize("form", ["bare", "torch", "npy", "npz"])
def test_pickle_of_a_reaction_model_is_refused(tmp_path: Path, mark: Path, form: str):
    (tmp_path / REACTIONS).write_bytes(hostile_files(mark)[form])
    with pytest.raises(CheckpointError, match="is no reaction model"):
        ReactionModel.load(tmp_path)
    assert not mark.exists()


def test_pickle_of_an_export_is_refused(tmp_path: Path, mark: Path):
    exported = CHECKPOINTS / "mini"
    names = [path.relative_to(exported) for path in exported.rglob("*") if path.is_file()]
    graphs = [name for name in names if name.suffix in (".xml", ".bin", ".safetensors")]
    assert graphs
    for name in graphs:
        copy = shutil.copytree(exported, tmp_path / "mini")
        (copy / name).write_bytes(hostile_files(mark)["torch"])
        if name.name != REACTIONS:
            with pytest.raises(CheckpointError):
                load_encoder(f"local-dir:{copy}", runtime="exported").encode_text(["hello"])
        shutil.rmtree(copy)
    assert not mark.exists()


def test_product_loads_no_pickle():
    """Neither by name nor by a library's option."""
    files = [path for name in PRODUCT for path in sorted((ROOT / name).rglob("*.py"))]
    files.append(ROOT / "app.py")
    assert len(files) > 150
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        for line in file.read_text("utf-8").splitlines()
        if LOADS_PICKLES.search(line) or TORCH_LOAD.search(line)
    ]
    assert found == []
    for line in ("import pickle", "np.load(f, allow_pickle=True)", "torch.load(path)"):
        assert LOADS_PICKLES.search(line) or TORCH_LOAD.search(line), line

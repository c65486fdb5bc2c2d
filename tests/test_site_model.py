"""The towers of a static site give what the checkpoint gives, in files that a browser can run."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import onnx
import open_clip
import pytest
import torch
from conftest import save_gif
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession
from playwright.sync_api import Browser
from safetensors.torch import save_file

from retrieval.build.build import build_index
from retrieval.encoders import PRESETS, Checkpoint
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.tokenizer import Tokens, TokenSettings, clean_text, spell_out
from retrieval.errors import CheckpointError, SpaceError
from retrieval.evaluation import load_messages, relevant_to
from retrieval.hub import sha256_of
from retrieval.paths import ROOT, STARTER
from retrieval.search import Searcher
from retrieval.site import vendor as vendoring
from retrieval.site import write_data
from retrieval.site.model import MAX_TEXT_BYTES, check_text_tower, write_model
from retrieval.site.onnx_encoder import OnnxTower
from retrieval.site.vendor import FILES, PACKAGES, write_vendor
from retrieval.site.weights import BLOCK, in_eight_bits, quantised, restored
from tests.support.site_engine import engine_page, write_engine

TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}
needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")


@pytest.fixture(scope="module")
def searcher() -> Searcher:
    return Searcher.open(STARTER)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def runtime(site: Path) -> dict[str, Any]:
    """What runs the model, in vendor/."""
    return write_vendor(site / "vendor")


@pytest.fixture(scope="module")
def vendor(site: Path, runtime: dict[str, Any]) -> Path:
    return site / "vendor"


@pytest.fixture(scope="module")
def model(site: Path, searcher: Searcher) -> Path:
    """The model folder of the starter library's site."""
    write_model(searcher, site / "model", {"wasm": {"file": "vendor/a.wasm"}})
    return site / "model"


@pytest.fixture(scope="module")
def facts(model: Path) -> dict:
    return json.loads((model / "model.json").read_text())


def test_model_in_eight_bits_agrees_with_the_checkpoint(facts: dict):
    agreement = facts["agreement"]
    assert agreement["n_messages"] == 200
    assert agreement["overlap_at_10"] >= 0.97
    assert agreement["message_cosine_mean"] >= 0.995 and agreement["message_cosine_min"] >= 0.99
    assert agreement["sentence_cosine_mean"] >= 0.995 and agreement["sentence_cosine_min"] >= 0.99
    assert agreement["n_pictures"] == 50 and agreement["image_cosine_min"] >= 0.99


def test_model_json_describes_the_files_for_the_engine(model: Path, facts: dict):
    towers = facts["towers"]
    assert (towers["sentence"], facts["dim"], facts["checkpoint"]) == (None, 256, "mini")
    for name, limit in (("message", 25_000_000), ("image", 6_000_000)):
        listed = [towers[name], towers[name]["weights"]]
        assert sum(each["bytes"] for each in listed) < limit
        for each in listed:
            file = model / each["file"]
            assert each["bytes"] == file.stat().st_size and each["sha256"] == sha256_of(file)
    assert TokenSettings(**towers["message"]["token_settings"]).spell_out_emoji
    assert towers["image"]["preprocess"]["size"] == [64, 64]
    assert facts["vendor"] == {"wasm": {"file": "vendor/a.wasm"}}


def test_graphs_hold_no_path_of_the_machine_that_wrote_them(model: Path):
    files = sorted(model.glob("*.onnx"))
    assert [file.name for file in files] == ["image.onnx", "text.onnx"]
    for file in files:
        graph = onnx.load(file, load_external_data=False).graph
        assert not [n.name for n in graph.node if n.metadata_props or n.doc_string]
        assert b"site-packages" not in file.read_bytes()


def test_text_tower_takes_messages_of_any_number_and_length(model: Path, facts: dict):
    tower = facts["towers"]["message"]
    run = OnnxTower(model, tower).run
    tokens = Tokens(model / tower["tokenizer"], TokenSettings(**tower["token_settings"]))
    texts = ["thanks", "so tired of this week, I could sleep for a year " * 10]
    for output, width in (("embedding", 256), ("sentence", 384)):
        together = run({"tokens": tokens(texts)}, output)
        assert together.shape == (2, width)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
        alone = run({"tokens": tokens(texts[:1])}, output)
        np.testing.assert_allclose(alone[0], together[0], atol=1e-4)


@needs_npm
def test_checkpoint_with_open_clips_own_towers_answers_too(
    tmp_path: Path, vendor: Path, runtime: dict[str, Any], browser: Browser
):
    """It reads messages, and mini reads sentences beside it."""
    encoder = OpenClipEncoder(f"local-dir:{write_tiny_clip(tmp_path / 'tiny')}")
    names = ("happy cat", "rain again", "so tired", "good luck")
    for number, name in enumerate(names):
        save_gif(tmp_path / "gifs" / f"{name}.gif", [(40 * number, 255 - 60 * number, 90)])
    build_index(tmp_path / "gifs", tmp_path / "index", encoder, signals=["frames", "names"])
    searcher = Searcher.open(tmp_path / "index", encoder)
    site = tmp_path / "site"
    agreement = write_model(searcher, site / "model", runtime)
    assert agreement.message_cosine_min >= 0.99
    assert agreement.sentence_cosine_min is not None and agreement.sentence_cosine_min >= 0.99
    described = (site / "model" / "model.json").read_text()
    assert str(tmp_path) not in described and Path.home().as_posix() not in described
    assert json.loads(described)["towers"]["message"]["token_settings"]["kind"] == "clip"
    (site / "vendor").symlink_to(vendor)
    write_data(searcher, site / "data")
    write_engine(site)
    messages = ["a cat that smiles", "it is raining", "I need sleep", "wish you luck 🍀"]
    with engine_page(browser, site) as engine:
        assert engine.start_worker(until="ready by meaning")[-1]["event"] == "ready"
        answered = engine.ask_worker_all(
            [f"search?{urlencode({'q': m, 'fold': 0})}" for m in messages]
        )
    for message, each in zip(messages, answered, strict=True):
        expected = searcher.ask(message, top_k=4)
        found = [gif["id"] for gif in each["json"]["gifs"]]
        assert found == [result.record.id for result in expected]
        scores = [gif["score"] for gif in each["json"]["gifs"]]
        assert scores == pytest.approx([result.score for result in expected], abs=0.02)


def write_tiny_clip(folder: Path) -> Path:
    """A checkpoint of open_clip's own architecture, with random weights."""
    torch.manual_seed(0)
    folder.mkdir()
    settings = {"model_cfg": TINY, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    checkpoint = open_clip.create_model(f"local-dir:{folder}")
    save_file(checkpoint.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def test_weights_come_back_within_half_a_level_of_their_block():
    weights = np.random.default_rng(0).normal(size=(40, 3, 70)).astype(np.float32)
    weights[0] = 0
    for axis in range(3):
        levels, scales = quantised(weights, axis)
        assert levels.dtype == np.int8 and levels.shape == weights.shape
        assert scales.shape[axis] == -(-weights.shape[axis] // BLOCK)
        each = np.repeat(scales.astype(np.float32), BLOCK, axis)
        each = np.take(each, np.arange(weights.shape[axis]), axis)
        # A float16 scale is rounded, which the largest weight of a block may feel as well.
        assert (np.abs(levels * each - weights) <= 0.56 * each + 127 * each / 2048).all()


def test_stored_tables_and_matrices_compute_what_the_graph_computed_and_masks_stay(tmp_path: Path):
    rng = np.random.default_rng(1)
    mask = np.triu(np.full((96, 96), -np.inf, np.float32), 1)
    table = rng.normal(size=(200, 48)).astype(np.float32)
    matrix = rng.normal(size=(48, 96)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], axis=0, doc_string="a line"),
        helper.make_node("MatMul", ["rows", "matrix"], ["out"]),
        helper.make_node("Exp", ["mask"], ["mask_out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [
            helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 96]),
            helper.make_tensor_value_info("mask_out", TensorProto.FLOAT, [96, 96]),
        ],
        [
            numpy_helper.from_array(values, name)
            for name, values in {"table": table, "matrix": matrix, "mask": mask}.items()
        ],
    )
    exact = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    small, weights = in_eight_bits(exact, "matrix.f32")
    assert [tensor.name for tensor in weights.tensors] == ["matrix"]
    assert weights.size_bytes == 4 * matrix.size
    n_bytes = small.ByteSize() + sum(array.nbytes for array in weights.arrays.values())
    assert exact.ByteSize() - n_bytes > 2.5 * (table.size + matrix.size)
    given = {"ids": np.array([3, 199, 3])}
    before, masked = InferenceSession(exact.SerializeToString()).run(None, given)
    (values,) = restored(weights.tensors, weights.arrays).values()
    values.astype("<f4").tofile(tmp_path / "matrix.f32")
    (tmp_path / "small.onnx").write_bytes(small.SerializeToString())
    after, still_masked = InferenceSession(str(tmp_path / "small.onnx")).run(None, given)
    np.testing.assert_array_equal(masked, still_masked)
    cosines = (before * after).sum(1) / np.linalg.norm(before, axis=1)
    assert (cosines / np.linalg.norm(after, axis=1) > 0.999).all()


def test_text_tower_that_visitors_would_wait_for_is_refused_before_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
):
    def load(*_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("retrieval.encoders.open_clip.load_checkpoint", load)
    with pytest.raises(CheckpointError) as raised:
        check_text_tower(Checkpoint.parse("siglip2"))
    assert str(raised.value) == (
        "The text tower of siglip2 has 300 MB in eight bits, which every visitor of a static site "
        "would download; expected 150 MB or less. Build the library with a smaller checkpoint: "
        "--model mini (24 MB) or clip (67 MB) or fast (67 MB)."
    )
    for name in ("mini", "clip"):
        check_text_tower(Checkpoint.parse(name))
    assert MAX_TEXT_BYTES == 150_000_000 and set(PRESETS) > {"mini", "clip"}


@needs_npm
def test_vendored_files_are_those_of_the_lock_file_with_their_licences(vendor: Path):
    names = {file.name for file in vendor.iterdir()}
    assert {Path(source).name for source in FILES.values()} < names
    licences = [(vendor / Path(package.file).name).read_text() for package in PACKAGES]
    assert "Permission is hereby granted" in licences[0] and "Apache License" in licences[1]
    lock = json.loads((ROOT / "frontend" / "vendor" / "package-lock.json").read_text())
    installed = [facts for name, facts in lock["packages"].items() if name]
    assert all(facts["integrity"].startswith("sha512-") for facts in installed)
    assert not any("resolved" in facts for facts in installed)


def test_missing_npm_and_a_changed_package_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpaceError, match=r"needs npm, which is not installed.*Install Node\.js"):
        write_vendor(tmp_path / "vendor")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code EINTEGRITY' >&2\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(SpaceError, match=r"npm could not install .* \(code EINTEGRITY\)"):
        write_vendor(tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists() and vendoring.SOURCES.is_dir()


@needs_npm
def test_browser_answers_messages_as_the_python_search_does(
    site: Path, searcher: Searcher, model: Path, runtime: dict[str, Any], browser: Browser
):
    """The whole way, from the message to the GIFs, with the model in WebAssembly."""
    described = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**described, "vendor": runtime}))
    write_data(searcher, site / "data")
    write_engine(site)
    messages = load_messages("test")[:200]
    paths = ["search?" + urlencode({"q": message.text, "limit": 10}) for message in messages]
    with engine_page(browser, site) as engine:
        events = engine.start_worker(until="ready by meaning")
        assert not [event for event in events if event["event"] == "failed"]
        answered = engine.ask_worker_all(paths)
    records = searcher.collection.records
    found = [[records.find(gif["id"]) for gif in each["json"]["gifs"]] for each in answered]
    assert not any("provisional" in each["json"] for each in answered)
    asked = searcher.ask_all([message.text for message in messages], top_k=10)
    expected = [[records.find(result.record.id) for result in results] for results in asked]
    overlap = np.mean([len({*a} & {*b}) / 10 for a, b in zip(found, expected, strict=True)])
    assert overlap >= 0.97
    relevant = relevant_to(messages, records)
    hits = [
        np.mean([rows[gifs[:5]].any() for rows, gifs in zip(relevant, lists, strict=True)])
        for lists in (found, expected)
    ]
    assert hits[0] == pytest.approx(hits[1], abs=0.01)


@needs_npm
def test_tokenizer_of_the_site_gives_the_same_numbers_as_here(
    model: Path, facts: dict, vendor: Path, tmp_path: Path
):
    """In JavaScript, after cleaning, for all messages of the evaluation."""
    tower = facts["towers"]["message"]
    settings = TokenSettings(**tower["token_settings"])
    raw = [message.text for name in ("test", "dev") for message in load_messages(name)]
    texts = [clean_text(spell_out(text), settings.clean) for text in [*raw, "안녕 é 你好", ""]]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    script = f"""
import {{ readFileSync }} from "node:fs";
import {{ Tokenizer }} from {json.dumps(str(vendor / "tokenizers.min.mjs"))};
const read = (path) => JSON.parse(readFileSync(path, "utf-8"));
const tokenizer = new Tokenizer(read({json.dumps(str(model / tower["tokenizer"]))}), {{}});
const texts = read({json.dumps(str(tmp_path / "texts.json"))});
console.log(JSON.stringify(texts.map((text) => tokenizer.encode(text).ids)));
"""
    (tmp_path / "encode.mjs").write_text(script)
    command = ["node", str(tmp_path / "encode.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    tokens = Tokens(model / tower["tokenizer"], settings)
    assert len(texts) > 400
    for text, ids in zip(texts, json.loads(done.stdout), strict=True):
        ours = tokens([text])[0]
        assert ours[: len(ids)].tolist() == ids[: settings.context_length], text
        assert (ours[len(ids) :] == settings.pad_id).all(), text

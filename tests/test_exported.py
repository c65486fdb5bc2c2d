"""The exported encoder gives what torch gives, and refuses what it was not made from."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from retrieval.encoders import export
from retrieval.encoders.export import export_encoder
from retrieval.encoders.load import find_export, load_encoder
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.openvino import ExportedEncoder
from retrieval.encoders.preprocess import Preprocess
from retrieval.encoders.presets import CHECKPOINTS
from retrieval.errors import CheckpointError
from retrieval.evaluation.data import load_messages
from retrieval.paths import ROOT, STARTER

TEXTS = ["I got the job 🎉", "why?? :(", "안녕하세요 naïve &amp; x_y", "word " * 200, "I'll"]
TOWERS = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
TINY = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": TOWERS,
        "text_cfg": {"context_length": 77, "width": 64, "heads": 1, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]},
}


@pytest.fixture(scope="module")
def traced() -> Iterator[None]:
    """Trace each checkpoint once: it takes seconds, and the same weights give the same graphs."""
    graphs: dict[tuple[str, bool], dict[str, Any]] = {}
    convert = export._convert

    def convert_once(encoder: OpenClipEncoder, *, trim: bool) -> dict[str, Any]:
        key = (encoder.fingerprint, trim)
        if key not in graphs:
            graphs[key] = convert(encoder, trim=trim)
        return {tower: graph.clone() for tower, graph in graphs[key].items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_convert", convert_once)
        yield


@pytest.fixture(scope="module")
def tiny(traced: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with open_clip's own towers and byte-pair tokenizer, random weights."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "open_clip_config.json").write_text(json.dumps(TINY))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    export_encoder(OpenClipEncoder(f"local-dir:{folder}"), folder / "exported" / "float32")
    return folder


def frames() -> list[Image.Image]:
    paths = sorted((STARTER / "media").glob("*.gif"))[:40]
    return [Image.open(path).convert("RGB") for path in paths]


def least_cosine(one: np.ndarray, other: np.ndarray) -> float:
    assert one.dtype == other.dtype == np.float32
    return float((one * other).sum(axis=1).min())


def test_shipped_mini_agrees_with_torch():
    exported, exact = load_encoder("mini", runtime="exported"), OpenClipEncoder("mini")
    assert (exported.fingerprint, exported.dim) == (exact.fingerprint, exact.dim)
    assert (exported.checkpoint.name, exported.label) == ("mini", "mini")
    messages = [m.text for m in load_messages("test")] + TEXTS
    assert least_cosine(exported.encode_text(messages), exact.encode_text(messages)) >= 0.9999
    pictures = frames()
    assert least_cosine(exported.encode_images(pictures), exact.encode_images(pictures)) >= 0.9999
    assert exported.encode_text([]).shape == exported.encode_images([]).shape == (0, 256)


def test_a_checkpoint_of_open_clips_own_towers_agrees_too(tiny: Path):
    name = f"local-dir:{tiny}"
    exported, exact = load_encoder(name), OpenClipEncoder(name)
    assert isinstance(exported, ExportedEncoder) and exported.precision == "float32"
    messages = [m.text for m in load_messages("test")] + TEXTS
    assert least_cosine(exported.encode_text(messages), exact.encode_text(messages)) >= 0.9999
    pictures = frames()
    assert least_cosine(exported.encode_images(pictures), exact.encode_images(pictures)) >= 0.9999
    # nearly all weights are the checkpoint's own
    weights = (tiny / "exported" / "float32" / "weights.bin").stat().st_size
    assert weights < 0.05 * (tiny / "open_clip_model.safetensors").stat().st_size


def test_an_export_can_stand_alone(tiny: Path, tmp_path: Path):
    name = f"local-dir:{tiny}"
    exact = OpenClipEncoder(name)
    export_encoder(exact, tmp_path / "alone" / "exported")
    moved = (tmp_path / "alone").rename(tmp_path / "moved") / "exported"
    alone = ExportedEncoder(moved, name)
    assert least_cosine(alone.encode_text(TEXTS), exact.encode_text(TEXTS)) >= 0.9999


def test_bfloat16_stays_close(tiny: Path):
    name = f"local-dir:{tiny}"
    exact = OpenClipEncoder(name)
    pictures = frames()
    rounded = load_encoder(name, precision="bfloat16")
    assert rounded.precision == "bfloat16"
    assert least_cosine(rounded.encode_images(pictures), exact.encode_images(pictures)) >= 0.995
    assert load_encoder(name, precision="auto").precision in ("float32", "bfloat16")


def test_int8_says_so_and_stays_close(tiny: Path, tmp_path: Path):
    exact = OpenClipEncoder(f"local-dir:{tiny}")
    pictures = frames()
    calibration = [exact.prepare(picture) for picture in pictures]
    small = export_encoder(exact, tmp_path / "int8", precision="int8", calibration=calibration)
    assert small.precision == "int8"
    np.testing.assert_allclose(np.linalg.norm(small.encode_images(pictures), axis=1), 1, atol=1e-5)
    assert least_cosine(small.encode_images(pictures), exact.encode_images(pictures)) >= 0.97
    assert least_cosine(small.encode_text(TEXTS), exact.encode_text(TEXTS)) >= 0.99


def test_an_export_of_other_weights_is_refused_with_what_mends_it(tiny: Path, tmp_path: Path):
    retrained = shutil.copytree(tiny, tmp_path / "retrained")
    weights = load_file(retrained / "open_clip_model.safetensors")
    weights["ln_final.bias"][0] += 1e-3
    save_file(weights, retrained / "open_clip_model.safetensors")
    with pytest.raises(CheckpointError, match=r"is not the file that .* was exported with"):
        load_encoder(f"local-dir:{retrained}")
    exported = retrained / "exported" / "float32"
    (exported / "encoder.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"is no export .* reaction-search export"):
        load_encoder(f"local-dir:{retrained}")
    shutil.rmtree(exported)
    assert isinstance(load_encoder(f"local-dir:{retrained}"), OpenClipEncoder)


def test_what_is_not_there_is_said_with_the_command_that_makes_it(tiny: Path):
    name = f"local-dir:{tiny}"
    with pytest.raises(CheckpointError, match=rf"No int8 export of {name}.* --precision int8"):
        load_encoder(name, precision="int8")
    with pytest.raises(CheckpointError, match=r"export --model ViT-B-32 --pretrained t"):
        load_encoder("ViT-B-32/t", runtime="exported")
    with pytest.raises(CheckpointError, match="No device 'cuda' here; torch finds cpu"):
        load_encoder("mini", device="cuda")
    assert find_export("mini") == CHECKPOINTS / "mini" / "exported" / "float32"


def test_a_search_from_the_shell_needs_neither_torch_nor_open_clip():
    program = (
        "import sys; from retrieval.cli import main; main(['search', 'so tired', '-k', '1']); "
        "print({'torch', 'open_clip', 'transformers', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"


def test_openvino_reports_to_nobody(tmp_path: Path):
    """It would, from its import on, and leave an id in the home folder."""
    program = (
        "from retrieval.encoders.load import load_encoder; load_encoder('mini').encode_text(['a'])"
    )
    command = [sys.executable, "-c", program]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}  # no CI in it
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    assert not (tmp_path / "intel").exists()


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [64, (48, 64)])
def test_pixels_are_those_of_open_clips_transform(mode: str, size):
    settings = {
        "size": size, "mode": "RGB", "mean": (0.5,) * 3, "std": (0.25,) * 3,
        "interpolation": "bicubic", "resize_mode": mode, "fill_color": 7,
    }  # fmt: skip
    theirs = open_clip.transform.image_transform(
        size, is_train=False, mean=settings["mean"], std=settings["std"],
        resize_mode=mode, interpolation="bicubic", fill_color=7,
    )  # fmt: skip
    ours = Preprocess.of(settings)
    rng = np.random.default_rng(0)
    for width, height in [(480, 270), (64, 64), (31, 200), (33, 20), (64, 48), (1, 1), (500, 499)]:
        noise = rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        expected = theirs(picture).numpy().transpose(1, 2, 0) * 0.25 + 0.5
        found = ours(picture)
        assert found.shape == expected.shape and found.dtype == np.uint8
        np.testing.assert_allclose(found, expected * 255, atol=2.01)

"""The encoder gives what open_clip's own documented calls give, and says what it lacks."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from retrieval.encoders.checkpoint import Checkpoint
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.presets import CHECKPOINTS, PRESETS
from retrieval.encoders.tokenizer import spell_out
from retrieval.errors import CheckpointError
from retrieval.paths import STARTER

TINY = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "width": 64, "heads": 1, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]},
}
GOLDEN_TEXT = [-0.013348, -0.007712, 0.052020, 0.007313, -0.058638, 0.065428]
GOLDEN_PICTURE = [-0.090448, 0.061130, -0.032180, -0.005093, -0.107707, -0.048663]
TEXTS = ["a", "I'm so scared right now", "I got the job 🎉 " * 40, "안녕하세요", "?!"]


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    shapes = [(40, 60, 3), (128, 128, 3), (33, 20, 3)]
    return [Image.fromarray(rng.integers(0, 255, s, dtype=np.uint8)) for s in shapes]


@pytest.fixture(scope="module")
def mini() -> OpenClipEncoder:
    return OpenClipEncoder("mini")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A whole open_clip checkpoint of random weights, small enough to make in a test."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(TINY))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def documented(name: str, texts: list[str], **options) -> tuple[np.ndarray, np.ndarray]:
    """What the open_clip README does: create, preprocess, tokenize, encode, normalize."""
    model, _, preprocess = open_clip.create_model_and_transforms(name, **options)
    tokenizer = open_clip.get_tokenizer(name)
    model.eval()
    with torch.no_grad():
        images = model.encode_image(torch.stack([preprocess(p) for p in pictures()]))
        words = model.encode_text(tokenizer(texts))
    images /= images.norm(dim=-1, keepdim=True)
    words /= words.norm(dim=-1, keepdim=True)
    return images.numpy(), words.numpy()


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert ((ours * theirs).sum(axis=1) >= 0.9999).all()


def test_a_checkpoint_of_open_clip_own_towers_agrees_with_the_documented_calls(tiny: Path):
    encoder = OpenClipEncoder(f"local-dir:{tiny}")
    images, words = documented(f"local-dir:{tiny}", TEXTS)
    assert_same(encoder.encode_images(pictures()), images)
    assert_same(encoder.encode_text(TEXTS), words)
    assert encoder.dim == 16


def test_mini_agrees_with_the_documented_calls(mini: OpenClipEncoder, tmp_path: Path):
    source = CHECKPOINTS / "mini"
    for name in ("open_clip_config.json", "config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    weights = load_file(source / "text_tower.safetensors")
    weights |= load_file(source / "trained.safetensors")
    save_file(weights, tmp_path / "open_clip_model.safetensors")
    text_cfg = json.loads((source / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    images, words = documented(
        f"local-dir:{tmp_path}",
        [spell_out(text) for text in TEXTS],
        # The Hub would have the text tower's config.json; here it lies in the folder.
        text_cfg={**text_cfg, "hf_model_name": str(tmp_path)},
    )
    assert_same(mini.encode_images(pictures()), images)
    assert_same(mini.encode_text(TEXTS), words)


def test_batches_and_single_items_give_the_same(mini: OpenClipEncoder):
    images = pictures() * 30
    together = mini.encode_images(images)
    alone = np.concatenate([mini.encode_images([image]) for image in images[:3]])
    np.testing.assert_allclose(together[:3], alone, atol=1e-5)
    np.testing.assert_allclose(together[:3], together[-3:], atol=1e-5)
    texts = mini.encode_text(TEXTS)
    np.testing.assert_allclose(texts[1:2], mini.encode_text(TEXTS[1:2]), atol=1e-5)
    assert mini.encode_images([]).shape == mini.encode_text([]).shape == (0, mini.dim)


def test_emoji_count_where_the_tokenizer_knows_none(mini: OpenClipEncoder):
    with_emoji, spelled, without = mini.encode_text(["hm 🎉", "hm party popper", "hm"])
    assert with_emoji @ spelled == pytest.approx(1, abs=1e-5)
    assert with_emoji @ without < 0.99


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("I got the job 🎉", "I got the job party popper"),
        ("👍🏽", "thumbs up"),
        ("🤷‍♀️ who knows", "woman shrugging who knows"),
        ("no emoji:  as it was", "no emoji:  as it was"),
    ],
)
def test_emoji_are_spelled_out(text: str, spelled: str):
    assert spell_out(text) == spelled


def test_the_fingerprint_follows_weights_and_preprocessing(tiny: Path):
    first = OpenClipEncoder(f"local-dir:{tiny}").fingerprint
    assert OpenClipEncoder(f"local-dir:{tiny}").fingerprint == first

    weights = load_file(tiny / "open_clip_model.safetensors")
    weights["ln_final.bias"][0] += 1e-3
    save_file(weights, tiny / "open_clip_model.safetensors")
    second = OpenClipEncoder(f"local-dir:{tiny}").fingerprint

    config = {**TINY, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5]}}
    (tiny / "open_clip_config.json").write_text(json.dumps(config))
    third = OpenClipEncoder(f"local-dir:{tiny}").fingerprint
    assert len({first, second, third}) == 3


def test_presets_name_tags_that_open_clip_has():
    for preset in PRESETS.values():
        if preset.pretrained:
            assert preset.pretrained in open_clip.list_pretrained_tags_by_model(preset.model)


@pytest.mark.parametrize(
    ("name", "pretrained", "expected"),
    [
        ("no-such-model", None, "Unknown checkpoint 'no-such-model'. Expected a preset .mini,"),
        ("ViT-B-32", None, "needs a pretrained tag. Choose one of: .*laion2b_s34b_b79k"),
        ("ViT-B-32", "nope", "no pretrained tag 'nope'. Choose one of"),
        ("mini", "openai", "Preset 'mini' already names its weights"),
        ("local-dir:/no/such/folder", None, "holds no open_clip_config.json"),
    ],
)
def test_a_checkpoint_that_cannot_be_is_said(name: str, pretrained: str | None, expected: str):
    with pytest.raises(CheckpointError, match=expected):
        OpenClipEncoder(Checkpoint.parse(name, pretrained))


def test_a_pickle_is_never_loaded(tmp_path: Path):
    weights = tmp_path / "weights.pt"
    torch.save({}, weights)
    with pytest.raises(CheckpointError, match=r"are a pickle .weights\.pt., which is never"):
        OpenClipEncoder(Checkpoint.parse("ViT-B-32", str(weights)))


def test_a_damaged_or_missing_weights_file_is_said(tiny: Path):
    weights = tiny / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="could not be loaded as a checkpoint"):
        OpenClipEncoder(f"local-dir:{tiny}")
    weights.unlink()
    with pytest.raises(CheckpointError, match="the weights are missing"):
        OpenClipEncoder(f"local-dir:{tiny}")


def test_weights_that_cannot_be_downloaded_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("siglip2", "hf-hub:nobody/nothing"):
        with pytest.raises(CheckpointError, match=r"could not be downloaded: .*--model mini"):
            OpenClipEncoder(name)


def test_mini_gives_its_golden_components(mini: OpenClipEncoder):
    # Computed with the plain open_clip calls on the two weight files joined into one.
    (text,) = mini.encode_text(["I'm so scared right now"])
    (picture,) = mini.encode_images([Image.open(STARTER / "media" / "red-heart.gif")])
    np.testing.assert_allclose(text[:6], GOLDEN_TEXT, atol=1e-4)
    np.testing.assert_allclose(picture[:6], GOLDEN_PICTURE, atol=1e-4)

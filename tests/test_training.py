"""A few steps of the training, the words it learns from, and the art it is made of."""

import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.presets import CHECKPOINTS
from retrieval.errors import SourceError
from retrieval.evaluation import art, data
from retrieval.training import augment, corpus, trainer
from retrieval.training.corpus import Text

SHAPES = {
    "red circle": ("ellipse", (220, 30, 30, 255)),
    "blue square": ("rectangle", (30, 30, 220, 255)),
    "green circle": ("ellipse", (30, 180, 30, 255)),
    "yellow square": ("rectangle", (230, 220, 30, 255)),
}


def drawn(shape: str, colour: tuple[int, int, int, int], inset: int) -> np.ndarray:
    picture = Image.new("RGBA", (96, 96))
    getattr(ImageDraw.Draw(picture), shape)((inset, inset, 95 - inset, 95 - inset), fill=colour)
    return np.asarray(picture)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The checkpoint as it is before training: all but what is trained."""
    for file in (CHECKPOINTS / "mini").iterdir():
        if file.name != "trained.safetensors":
            (tmp_path / file.name).symlink_to(file)
    return tmp_path


def test_a_few_steps_teach_names_and_messages_and_leave_the_text_tower_alone(folder: Path):
    emoji = [art.Emoji(f"k{i}", "", (name,), (), 0) for i, name in enumerate(SHAPES)]
    stills = {
        style: {
            e.key: drawn(*SHAPES[e.names[0]], inset) for e in emoji
        }
        for style, inset in (("small", 20), ("large", 6))
    }  # fmt: skip
    texts = [Text(name, (i,), "name") for i, name in enumerate(SHAPES)]
    texts += [Text("roses are like this", (0,), "message"), Text("the sky", (1,), "message")]
    settings = trainer.Settings(
        batch_size=16, stages=((48, 25), (64, 5)), texts_per_step=16, read_steps=150
    )
    tower = (folder / "text_tower.safetensors").resolve()
    before = hashlib.sha256(tower.read_bytes()).hexdigest()
    said: list[str] = []

    trainer.train(folder, emoji, stills, texts, settings, said.append)

    encoder = OpenClipEncoder(f"local-dir:{folder}")
    pictures = [Image.fromarray(s).convert("RGBA") for s in stills["large"].values()]
    white = [Image.alpha_composite(Image.new("RGBA", p.size, "white"), p) for p in pictures]
    scores = encoder.encode_text([t.text for t in texts]) @ encoder.encode_images(white).T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3, 0, 1]
    assert hashlib.sha256(tower.read_bytes()).hexdigest() == before
    assert (folder / "trained.safetensors").stat().st_size <= 12_000_000
    assert any(line.startswith("see 30/30") for line in said)

    fingerprint = encoder.fingerprint
    trainer.train(folder, emoji, stills, texts, settings, said.append, only_read=True)
    again = OpenClipEncoder(f"local-dir:{folder}")
    np.testing.assert_allclose(again.encode_images(white), encoder.encode_images(white), atol=1e-3)
    assert len(fingerprint) == 64


def test_pasted_pictures_are_of_the_asked_size_and_differ_each_time():
    stills = torch.from_numpy(np.stack([drawn("ellipse", (255, 0, 0, 255), 10)] * 8))
    generator = torch.Generator().manual_seed(0)
    first, second = augment.paste(stills, 48, generator), augment.paste(stills, 48, generator)
    assert first.shape == (8, 3, 48, 48)
    assert float(first.min()) >= 0 and float(first.max()) <= 1
    assert float((first - second).abs().mean()) > 0.01
    # A red emoji stays mostly red wherever it lands: the channel gains are bounded.
    assert float(first[:, 0].mean()) > float(first[:, 1].mean())


def test_a_message_wants_all_of_its_answers_alike():
    logits = torch.tensor([[2.0, 2.0, -9.0], [4.0, 0.0, -9.0]])
    answers = torch.tensor([[True, True, False]])
    even = trainer.answer_loss(logits[:1], answers)
    uneven = trainer.answer_loss(logits[1:], answers)
    assert even < uneven
    assert float(even) == pytest.approx(np.log(2), abs=1e-3)


def test_every_reaction_category_has_several_animations_and_held_out_messages():
    reactions = data.load_reactions()
    starter = set(data.load_starter())
    assert len(reactions) == 43
    assert all(len(set(chars) & starter) >= 3 for chars in reactions.values())
    assert 200 <= len(starter) <= 300
    test = data.load_messages("test")
    assert all(sum(m.category == c for m in test) >= 3 for c in reactions)
    trained = {m.text for hand in corpus.TRAIN_HANDS for m in data.load_messages(hand)}
    assert not trained & {m.text for m in test + data.load_messages("dev")}


def test_a_message_file_that_is_damaged_is_said(tmp_path: Path):
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "dev.jsonl").write_text('{"text": "no category"}\n')
    with pytest.raises(SourceError, match=r"dev\.jsonl, line 1: expected text and a category"):
        data.load_messages("dev", tmp_path)


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for the npm client, which needs a network: packs two emoji of our own."""
    words = [
        {"hexcode": "2764-FE0F", "emoji": "❤️", "label": "red heart", "group": 0, "tags": ["love"]},
        {"hexcode": "1F1E6", "emoji": "🇦", "label": "regional indicator A", "tags": []},
        {"hexcode": "1F3F4", "emoji": "🏴", "label": "black flag", "group": 9, "tags": ["flag"]},
    ]
    codes = {"2764-FE0F": ["heart"]}
    square = '<path fill="#d00" d="M0 0h16v16H0z"/>'
    files = {
        "en/data.json": json.dumps(words),
        **{
            f"en/shortcodes/{name}.json": json.dumps(codes)
            for name in ("cldr", "emojibase", "github", "iamcal", "joypixels")
        },
        "dist/emoji-en-US.json": json.dumps({"❤️": ["valentine", ":3"]}),
        "icons.json": json.dumps({"icons": {"red-heart": {"body": square}}, "width": 16}),
        "chars.json": "{}",
    }
    tarball = tmp_path / "pack.tgz"
    with tarfile.open(tarball, "w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(
        f"#!{sys.executable}\nimport shutil\n"
        f"shutil.copy({str(tarball)!r}, 'x.tgz')\nprint('x.tgz')\n"
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent))
    return tmp_path / "cache"


def test_emoji_are_named_and_drawn_from_packages_fetched_once(
    fake_npm: Path, monkeypatch: pytest.MonkeyPatch
):
    (heart,) = art.load_emoji(fake_npm)
    assert (heart.key, heart.char, heart.names) == ("2764", "❤️", ("red heart", "heart"))
    assert heart.tags == ("love", "valentine")
    sources = art._sources("twemoji", [heart], fake_npm)
    assert "M0 0h16v16H0z" in sources["2764"]
    monkeypatch.setenv("PATH", os.devnull)
    assert art.load_emoji(fake_npm) == [heart]


def test_art_that_cannot_be_fetched_is_said(fake_npm: Path, monkeypatch: pytest.MonkeyPatch):
    npm = Path(os.environ["PATH"]) / "npm"
    npm.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('network is down')\n")
    with pytest.raises(SourceError, match=r"npm pack .* failed: network is down"):
        art.load_emoji(fake_npm)
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(SourceError, match=r"npm is not installed\. Install it"):
        art.load_emoji(fake_npm)

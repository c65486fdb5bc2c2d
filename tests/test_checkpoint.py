"""Checkpoints are parsed from every spelling, and know their files."""

from pathlib import Path

import pytest

from retrieval.encoders.checkpoint import Checkpoint
from retrieval.encoders.presets import CHECKPOINTS
from retrieval.errors import CheckpointError, HubError
from retrieval.paths import user_cache


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("mini", Checkpoint("mini", kind="preset")),
        ("ViT-B-32", Checkpoint("ViT-B-32")),
        ("ViT-B-32/laion2b_s34b_b79k", Checkpoint("ViT-B-32", "laion2b_s34b_b79k")),
        ("ViT-B-32//tmp/weights.safetensors", Checkpoint("ViT-B-32", "/tmp/weights.safetensors")),
        ("hf-hub:me/clip", Checkpoint("me/clip", kind="hub")),
        ("hf-hub:me/clip@v2", Checkpoint("me/clip", revision="v2", kind="hub")),
        ("local-dir:a/b", Checkpoint("a/b", kind="folder")),
    ],
)
def test_parse_reads_every_spelling_that_label_writes(spelling: str, expected: Checkpoint):
    assert Checkpoint.parse(spelling) == expected
    assert expected.label == str(expected) == spelling
    assert Checkpoint.parse(expected.model, expected.tag) == expected  # as a manifest keeps it
    assert Checkpoint.parse(expected) is expected


def test_parse_rejects_a_preset_with_a_tag_and_a_malformed_address():
    with pytest.raises(CheckpointError, match="'mini' already names its weights"):
        Checkpoint.parse("mini", "openai")
    with pytest.raises(HubError, match="Expected hf://datasets/OWNER/NAME or hf-hub:OWNER/NAME"):
        Checkpoint.parse("hf-hub:nobody")


def test_folders_follow_the_kind():
    mini = CHECKPOINTS / "mini"
    assert Checkpoint.parse("mini").folder == mini
    assert Checkpoint.parse("mini").export_folder("int8") == mini / "exported" / "int8"
    assert Checkpoint.of_folder(Path("a/b")).export_folder("float32") == Path(
        "a/b/exported/float32"
    )
    cache = user_cache() / "exported"
    named = Checkpoint.parse("ViT-B-32/laion2b_s34b_b79k")
    assert named.folder is None
    assert named.export_folder("float32") == cache / "ViT-B-32--laion2b_s34b_b79k" / "float32"
    assert Checkpoint.parse("clip").export_folder("float32") == named.export_folder("float32")
    pinned = Checkpoint.parse("hf-hub:me/clip@v2")
    assert pinned.export_folder("float32") == cache / "hf-hub--me--clip--v2" / "float32"
    assert (str(pinned.address), named.address) == ("hf-hub:me/clip@v2", None)


def test_options_select_the_checkpoint_on_the_command_line():
    assert Checkpoint.parse("ViT-B-32/openai").options == "--model ViT-B-32 --pretrained openai"
    assert Checkpoint.parse("hf-hub:me/clip@v2").options == "--model hf-hub:me/clip@v2"

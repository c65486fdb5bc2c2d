"""What the environment says of the page, and what it says wrongly."""

from pathlib import Path

import pytest
from conftest import FakeEncoder

from retrieval.encoders.checkpoint import Checkpoint
from retrieval.errors import SettingsError
from retrieval.paths import ROOT, STARTER
from retrieval.search import searcher as search
from retrieval.web.settings import Settings


def test_nothing_said_serves_the_starter_library_and_collects_nothing(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    settings = Settings.read({})
    assert (settings.index, settings.checkpoint, settings.feedback) == (STARTER, "", False)
    assert settings.data == Path("/somewhere/clip-reaction-search")
    assert Settings.read({"REACTION_INDEX": " ", "REACTION_MAX_FILES": ""}) == settings


def test_every_variable_is_heard_and_is_in_the_readme():
    said = {
        "REACTION_INDEX": "hf://datasets/me/gifs@v1",
        "REACTION_CHECKPOINT": "hf-hub:me/clip",
        "REACTION_FEEDBACK": "on",
        "REACTION_DATA": "/kept",
        "REACTION_MAX_FILES": "5",
        "REACTION_MAX_TOTAL_MB": "7",
    }
    heard = Settings("hf://datasets/me/gifs@v1", "hf-hub:me/clip", True, Path("/kept"), 5, 7)
    assert Settings.read(said) == heard
    assert Settings.read({"REACTION_INDEX": "index/mine"}).index == Path("index/mine")
    readme = (ROOT / "README.md").read_text()
    assert all(f"| `{name}` |" in readme for name in said)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MAX_FILES", "many", "a whole number, 1 or more"),
        ("MAX_TOTAL_MB", "0", "a whole number, 1 or more"),
        ("MAX_FILES", "-1", "a whole number"),
        ("FEEDBACK", "maybe", "on or off"),
    ],
)
def test_nonsense_names_the_variable_and_what_was_expected(name: str, value: str, expected: str):
    with pytest.raises(SettingsError, match=f"^REACTION_{name} is '{value}'; expected {expected}"):
        Settings.read({f"REACTION_{name}": value})


@pytest.mark.parametrize("name", ["mini", "ViT-B-32/laion2b", "hf-hub:me/clip", "local-dir:a/b"])
def test_a_checkpoint_in_one_word_is_the_one_it_was(name: str):
    assert Checkpoint.parse(name).label == name


def test_a_bundles_checkpoint_can_come_from_elsewhere(bundle, monkeypatch):
    asked = []
    monkeypatch.setattr(search, "load_encoder", lambda *args: asked.append(args) or FakeEncoder())
    search.Searcher.open(bundle.path)
    search.Searcher.open(bundle.path, checkpoint="ViT-B-32/laion2b")
    assert asked == [(Checkpoint("fake"),), ("ViT-B-32/laion2b",)]

"""Settings from environment variables: defaults, valid and invalid values."""

from pathlib import Path

import pytest
from conftest import FakeEncoder

from retrieval.encoders.checkpoint import Checkpoint
from retrieval.errors import SettingsError
from retrieval.paths import ROOT, STARTER
from retrieval.search import searcher as search
from retrieval.web.settings import Settings, current_settings


def test_defaults_serve_the_starter_library_without_feedback(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    settings = Settings.read({})
    assert (settings.index, settings.checkpoint, settings.feedback) == (STARTER, "", False)
    assert settings.data == Path("/somewhere/clip-reaction-search")
    assert Settings.read({"REACTION_INDEX": " ", "REACTION_MAX_FILES": ""}) == settings


def test_every_variable_is_read_and_documented():
    environ = {
        "REACTION_INDEX": "hf://datasets/me/gifs@v1",
        "REACTION_CHECKPOINT": "hf-hub:me/clip",
        "REACTION_FEEDBACK": "on",
        "REACTION_DATA": "/kept",
        "REACTION_MAX_FILES": "5",
        "REACTION_MAX_TOTAL_MB": "7",
        "REACTION_CACHE": "/made",
        "REACTION_CACHE_MB": "9",
    }
    index, kept, made = "hf://datasets/me/gifs@v1", Path("/kept"), Path("/made")
    expected = Settings(index, "hf-hub:me/clip", True, kept, 5, 7, made, 9)
    assert Settings.read(environ) == expected
    assert Settings.read({"REACTION_INDEX": "index/mine"}).index == Path("index/mine")
    documented = (ROOT / "docs" / "settings.md").read_text()
    assert all(f"| `{name}` |" in documented for name in environ)


def test_environment_is_read_once_per_process(monkeypatch):
    monkeypatch.setenv("REACTION_MAX_FILES", "5")
    assert current_settings().max_files == 5
    monkeypatch.setenv("REACTION_MAX_FILES", "6")
    assert current_settings().max_files == 5
    current_settings.cache_clear()
    assert current_settings().max_files == 6


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MAX_FILES", "many", "a whole number, 1 or more"),
        ("MAX_TOTAL_MB", "0", "a whole number, 1 or more"),
        ("MAX_FILES", "-1", "a whole number"),
        ("FEEDBACK", "maybe", "on or off"),
    ],
)
def test_invalid_value_raises_with_the_variable_and_what_is_expected(
    name: str, value: str, expected: str
):
    with pytest.raises(SettingsError, match=f"^REACTION_{name} is '{value}'; expected {expected}"):
        Settings.read({f"REACTION_{name}": value})


@pytest.mark.parametrize("name", ["mini", "ViT-B-32/laion2b", "hf-hub:me/clip", "local-dir:a/b"])
def test_checkpoint_label_round_trips(name: str):
    assert Checkpoint.parse(name).label == name


def test_checkpoint_argument_overrides_the_bundles(bundle, monkeypatch):
    asked = []
    monkeypatch.setattr(search, "load_encoder", lambda *args: asked.append(args) or FakeEncoder())
    search.Searcher.open(bundle.path)
    search.Searcher.open(bundle.path, checkpoint="ViT-B-32/laion2b")
    assert asked == [(Checkpoint("fake"),), ("ViT-B-32/laion2b",)]

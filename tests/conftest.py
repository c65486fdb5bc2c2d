"""A fake encoder whose scores can be worked out on paper, media to index with it, a Hub."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hub_stand_in import WRITER, HubStandIn
from PIL import Image
from playwright.sync_api import Browser

from retrieval.build.build import build_index
from retrieval.encoders.checkpoint import Checkpoint
from retrieval.library.bundle import Bundle
from retrieval.library.manifest import SIGNALS
from retrieval.search.searcher import Searcher
from retrieval.web.media_routes import current_renditions
from retrieval.web.settings import current_settings
from tests.support.browser import chromium
from tests.support.server import serving

# Workers of pytest-xdist share the cores. With a thread for each core in each worker, and in what
# it starts, torch's and FAISS's threads spend as long again waiting for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The files that take longest, in this order: workers get files one by one, and a long one that
# comes last keeps one worker busy while the others have ended.
SLOWEST = (
    "test_space_run", "test_accessibility", "test_hub", "test_site_model", "test_keyboard",
    "test_picker_history", "test_site_page", "test_site_engine", "test_site_deploy",
    "test_exported", "test_picker", "test_scripts", "test_library_page", "test_cli",
    "test_compat_giphy", "test_space", "test_incremental", "test_compat_tenor", "test_output",
    "test_training", "test_evaluation_commands", "test_feedback", "test_about",
)  # fmt: skip

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
COLOURS = {"red": RED, "green": GREEN, "blue": BLUE, "yellow": YELLOW}


class FakeEncoder:
    """Stands in for OpenClipEncoder: an embedding is the mean colour, of unit length.

    A picture that is all red and the text "red" are both (1, 0, 0); "yellow" is
    (1, 1, 0)/√2, so its cosine to "red" is 0.7071.
    """

    dim = 3
    precision, precision_note = "float32", ""

    def __init__(self, name: str = "fake"):
        self.checkpoint = Checkpoint.parse(name)
        self.fingerprint = hashlib.sha256(name.encode()).hexdigest()

    @property
    def label(self) -> str:
        return self.checkpoint.label

    def prepare(self, image: Image.Image) -> np.ndarray:
        return np.asarray(image.convert("RGB"))

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self.encode_pixels([self.prepare(image) for image in images])

    def encode_pixels(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        return self._unit([picture.astype(np.float32).mean(axis=(0, 1)) for picture in pixels])

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        # Words that are no colours are grey: the prompts of reactions, names of GIFs.
        colours = [[COLOURS.get(w, (1, 1, 1)) for w in text.split() or [text]] for text in texts]
        return self._unit([np.mean(of_text, axis=0) for of_text in colours])

    def _unit(self, colours: Sequence[np.ndarray]) -> np.ndarray:
        vectors = np.array(colours, np.float32).reshape(-1, 3)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def save_gif(path: Path, colours: Sequence[tuple[int, int, int]], duration_ms: int = 100) -> Path:
    """An animation of plain frames, one a colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [Image.new("RGB", (16, 16), colour) for colour in colours]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration_ms, loop=0)
    return path


def save_heavy_gif(path: Path, side: int, n_frames: int) -> Path:
    """A small legal file whose frames take long to decode: each changes one pixel of many."""
    header = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes([*RED, *BLUE])
    control = b"\x21\xf9\x04\x00\x02\x00\x00\x00"
    frame = control + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + frame * n_frames + b"\x3b")
    return path


def use_hub(endpoint: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point huggingface_hub at an endpoint and a cache: it read its settings long ago."""
    settings = {
        "ENDPOINT": endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }
    for name, value in settings.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    for name in ("HF_ENDPOINT", "HF_HOME", "HF_HUB_DISABLE_XET", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first, for `--dist loadfile --no-loadscope-reorder`."""
    places = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(SLOWEST)))


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep builds' notes and renditions of GIFs out of the real home, in all processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REACTION_CACHE", str(tmp_path_factory.mktemp("renditions")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def settings_of_this_test() -> None:
    """A process reads the environment once; a test may have changed it since."""
    current_settings.cache_clear()
    current_renditions.cache_clear()


@pytest.fixture(autouse=True)
def builds_read_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the reader takes two seconds a build; tests of words ask for them by `signals`."""
    assert build_index.__kwdefaults__["signals"] == SIGNALS
    monkeypatch.setitem(build_index.__kwdefaults__, "signals", ("frames",))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """An empty Hub and an empty cache, for this process and those that it starts."""
    with HubStandIn() as server:
        use_hub(server.endpoint, tmp_path / "hf", monkeypatch)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", WRITER)
        monkeypatch.setattr("retrieval.library.bundle._pulled", {})
        yield server


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Four GIFs: all red; red then blue; all green; all yellow."""
    folder = tmp_path / "library"
    save_gif(folder / "a-red.gif", [RED])
    save_gif(folder / "b-red-blue.gif", [RED, BLUE])
    save_gif(folder / "deep" / "c-green.gif", [GREEN])
    save_gif(folder / "d-yellow.gif", [YELLOW])
    return folder


@pytest.fixture
def bundle(tmp_path: Path, library: Path, encoder: FakeEncoder) -> Bundle:
    build_index(library, tmp_path / "bundle", encoder, pooling="best_frame")
    return Bundle.open(tmp_path / "bundle")


@pytest.fixture
def searcher(bundle: Bundle, encoder: FakeEncoder) -> Searcher:
    return Searcher(bundle, encoder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for a module's tests."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def page_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page over the starter library, with votes: one server for all tests of a worker."""
    data = str(tmp_path_factory.mktemp("votes"))
    with serving(environment={"REACTION_FEEDBACK": "on", "REACTION_DATA": data}) as server:
        yield server.address

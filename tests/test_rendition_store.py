"""The store of renditions: its budget, its files, several processes, a full disk."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BLUE, RED, FakeEncoder, save_gif

from retrieval.build.build import build_index
from retrieval.cli.build import make_renditions
from retrieval.renditions import VERSION, RenditionStore, prepare_renditions
from retrieval.renditions import store as store_module
from retrieval.web.settings import current_settings


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def stored(folder: Path) -> list[Path]:
    return sorted((folder / "renditions").rglob("*.rendition"))


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was rendered, of sources that are as quick to render as they are large."""
    sources: list[bytes] = []

    def render(data: bytes, *args: object) -> bytes:
        sources.append(data)
        return data

    monkeypatch.setattr(store_module, "sandboxed_animation", render)
    return sources


def test_store_renders_once_and_a_new_renderer_again(
    tmp_path: Path, rendered: list[bytes], monkeypatch: pytest.MonkeyPatch
):
    for _ in range(2):  # another process later
        store = RenditionStore(tmp_path, 10_000)
        assert store.animation(id_of(b"gif"), b"gif", 200) == b"gif"
    assert len(rendered) == 1
    monkeypatch.setattr(store_module, "VERSION", VERSION + 1)
    store.animation(id_of(b"gif"), b"gif", 200)
    assert len(rendered) == 2


def test_store_keeps_to_its_budget_and_forgets_what_was_used_least_recently(
    tmp_path: Path, rendered: list[bytes]
):
    store = RenditionStore(tmp_path, 10_000)
    sources = [bytes([n]) * 1_500 for n in range(1, 15)]
    for n, source in enumerate(sources):
        store.animation(id_of(source), source, 200)
        for path in stored(tmp_path):  # the file system's clock may be coarse
            facts = path.stat()
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns - 10**9))
        assert store.cached_animation(id_of(sources[0]), 200), n  # used each time
        assert sum(path.stat().st_size for path in stored(tmp_path)) <= 10_000
    kept = [store.cached_animation(id_of(source), 200) is not None for source in sources]
    assert kept[0] and kept[-1] and not any(kept[1:6])


def test_damaged_file_of_the_store_is_made_again(tmp_path: Path, rendered: list[bytes]):
    store = RenditionStore(tmp_path, 10_000)
    for damage in (lambda c: c[:-1], lambda c: b"", lambda c: c[:-1] + b"!", lambda c: c + b"!"):
        store.animation(id_of(b"gif"), b"gif", 200)
        (file,) = stored(tmp_path)
        file.write_bytes(damage(file.read_bytes()))
        assert store.cached_animation(id_of(b"gif"), 200) is None
        assert store.animation(id_of(b"gif"), b"gif", 200) == b"gif"
        assert store.cached_animation(id_of(b"gif"), 200) == b"gif"


def test_picture_under_another_ones_id_is_not_kept(tmp_path: Path, rendered: list[bytes]):
    store = RenditionStore(tmp_path, 10_000)
    assert store.animation(id_of(b"mine"), b"yours", 200) == b"yours"
    assert store.animation(id_of(b"mine"), b"mine", 200) == b"mine"
    assert store.cached_animation("../../secret", 200) is None


def test_files_that_are_not_renditions_stay(tmp_path: Path, rendered: list[bytes]):
    mine = tmp_path / "mine"
    (mine / "renditions").mkdir(parents=True)
    (mine / "renditions" / "thesis.txt").write_text("years of work")
    RenditionStore(mine, 10).animation(id_of(b"gif"), b"gif", 200)
    assert [path.name for path in mine.rglob("*") if path.is_file()] == ["thesis.txt"]

    store = RenditionStore(tmp_path, 3_000)
    store.animation(id_of(b"gif"), b"gif", 200)
    (folder,) = {path.parent for path in stored(tmp_path)}
    (folder / "thesis.txt").write_text("years of work" * 1_000)
    for n in range(1, 9):
        store.animation(id_of(bytes([n]) * 900), bytes([n]) * 900, 200)
    assert (folder / "thesis.txt").exists()


def test_store_that_is_wiped_works_on(tmp_path: Path, rendered: list[bytes]):
    store = RenditionStore(tmp_path, 10_000)
    for _ in range(2):
        assert store.animation(id_of(b"gif"), b"gif", 200) == b"gif"
        assert store.cached_animation(id_of(b"gif"), 200) == b"gif"
        shutil.rmtree(tmp_path / "renditions")


def test_where_nothing_can_be_kept_renditions_are_made_all_the_same(
    tmp_path: Path, rendered: list[bytes], caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("")  # no folder can be made in it, by root neither
    store = RenditionStore(tmp_path / "file", 10_000)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert store.animation(id_of(b"gif"), b"gif", 200) == b"gif"
    assert len(rendered) == 3 and len(caplog.records) == 1


def test_full_disk_leaves_nothing_half_written(
    tmp_path: Path, rendered: list[bytes], monkeypatch: pytest.MonkeyPatch
):
    store = RenditionStore(tmp_path, 10_000)
    store.animation(id_of(b"gif"), b"gif", 200)

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert store.animation(id_of(b"two"), b"two", 200) == b"two"
    assert len([path for path in (tmp_path / "renditions").rglob("*") if path.is_file()]) == 2


def test_two_processes_may_fill_one_store(tmp_path: Path):
    program = (
        "import hashlib, sys; from pathlib import Path\n"
        "from retrieval.renditions import RenditionStore, store\n"
        "store.sandboxed_animation = lambda data, *_: data\n"
        "own = RenditionStore(Path(sys.argv[1]), 40_000)\n"
        "for n in range(300):\n"
        "    data = bytes([n % 60 + 1]) * 1000\n"
        "    assert own.animation(hashlib.sha256(data).hexdigest(), data, 200) == data\n"
        "assert not own._has_warned\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    files = stored(tmp_path)
    assert files and all(path.stat().st_size == 1016 for path in files)
    assert sum(path.stat().st_size for path in files) <= 42_000


def test_library_is_prepared_once_and_a_broken_file_is_named(tmp_path: Path):
    good = save_gif(tmp_path / "good.gif", [RED, BLUE])
    broken = tmp_path / "broken.gif"
    broken.write_bytes(good.read_bytes()[:60])
    files = [(id_of(path.read_bytes()), path) for path in (good, broken)]
    store = RenditionStore(tmp_path / "cache", 1_000_000)
    first = prepare_renditions(files, store, (100, 200))
    assert (first.n_made, first.n_stored) == (2, 0)
    assert [gif_id for gif_id, _ in first.failed] == [files[1][0]]
    again = prepare_renditions(files, store, (100, 200))
    assert (again.n_made, again.n_stored) == (0, 2)


def test_build_makes_renditions_where_the_page_looks_for_them(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REACTION_CACHE", str(tmp_path / "cache"))
    build_index(library, tmp_path / "bundle", FakeEncoder())
    assert make_renditions(tmp_path / "bundle") == "8 renditions made, 0 were there before."
    assert make_renditions(tmp_path / "bundle") == "0 renditions made, 8 were there before."
    page = RenditionStore(current_settings().cache, 1_000_000)
    assert page.cached_animation(id_of((library / "a-red.gif").read_bytes()), 200)

"""Which folders a build lets the page serve media from, as noted in the user's state folder."""

import os
from pathlib import Path

import pytest
from conftest import BLUE, GREEN, RED, FakeEncoder, save_gif

from retrieval.build.build import build_index
from retrieval.library.catalog import Record
from retrieval.library.local_builds import folders_of, media_folders, register_build
from retrieval.library.manifest import Manifest, read_manifest


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "clip-reaction-search" / "builds"


def hash_of(bundle: Path) -> str:
    return str(read_manifest(bundle).files["catalog.parquet"]["sha256"])


def test_folder_build_registers_its_source_and_a_rebuild_replaces_it(
    library: Path, tmp_path: Path, encoder: FakeEncoder, state: Path
):
    out = tmp_path / "built"
    build_index(library, out, encoder)
    before = hash_of(out)
    assert folders_of(before) == (str(library.resolve()),)
    save_gif(library / "e.gif", [GREEN, RED])
    build_index(library, out, encoder)
    assert folders_of(hash_of(out)) == (str(library.resolve()),) and folders_of(before) == ()
    build_index(library, tmp_path / "other", encoder, frames=1)
    assert len(list(state.iterdir())) == 2
    build_index(library, out, encoder, copy_media=True)
    assert len(list(state.iterdir())) == 1


def test_list_registers_the_folders_of_its_files_and_of_what_they_link_to(
    tmp_path: Path, encoder: FakeEncoder
):
    one = save_gif(tmp_path / "one" / "a.gif", [RED])
    save_gif(tmp_path / "one" / "deep" / "b.gif", [BLUE])
    save_gif(tmp_path / "store" / "c.gif", [GREEN])
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "c.gif").symlink_to(tmp_path / "store" / "c.gif")
    names = (one, tmp_path / "one" / "deep" / "b.gif", tmp_path / "two" / "c.gif")
    (tmp_path / "list.txt").write_text("\n".join(map(str, names)))
    build_index(tmp_path / "list.txt", tmp_path / "built", encoder)
    assert folders_of(hash_of(tmp_path / "built")) == (
        str(tmp_path / "one"),
        str(tmp_path / "store"),
    )


def test_bundle_without_absolute_paths_registers_nothing(state: Path):
    records = [Record("1", "media/a.gif", ""), Record("2", "https://a.b/c.gif", "")]
    assert media_folders(records, Path("/somewhere")) == set()


def test_state_folder_that_cannot_be_written_is_a_note_of_the_build(
    library: Path, tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    report = build_index(library, tmp_path / "built", encoder)
    assert any("--copy-media" in note and "cannot be written" in note for note in report.notes)
    report = build_index(library, tmp_path / "built", encoder, copy_media=True)
    assert not report.notes


def test_damaged_note_counts_as_none_and_does_not_stop_a_build(state: Path, tmp_path: Path):
    manifest = Manifest("c", None, "f", 8, "mean", files={"catalog.parquet": {"sha256": "a" * 64}})
    state.mkdir(parents=True)
    for name, text in (("a" * 64, "{"), ("b" * 64, "[]"), ("c" * 64, '{"folders": 1}')):
        (state / f"{name}.json").write_text(text)
        assert folders_of(name) == ()
    record = Record("1", os.path.join(tmp_path, "a.gif"), "")
    assert register_build(tmp_path / "built", manifest, [record]) == ()
    assert folders_of("a" * 64) == (str(tmp_path.resolve()),)

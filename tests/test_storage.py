"""What cannot be written is one sentence; the old index serves on, and nothing is left behind."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import FakeEncoder, save_gif

from retrieval.build import state
from retrieval.build.build import build_index
from retrieval.errors import OutputError, StorageError
from retrieval.library.bundle import Bundle

DISK_BYTES = 512 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own; only root can mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, free_bytes: int) -> None:
    disk.joinpath("filler").unlink(missing_ok=True)
    facts = os.statvfs(disk)
    with (disk / "filler").open("wb") as file:
        file.write(bytes(max(0, facts.f_bavail * facts.f_frsize - free_bytes)))


def test_full_disk_is_named_wherever_it_is_met_and_the_old_index_serves(
    disk: Path, library: Path, encoder: FakeEncoder
):
    out = disk / "b"
    build_index(library, out, encoder, copy_media=True)
    (library / "a-red.gif").unlink()
    n_failed = 0
    for free_bytes in range(0, 96 * 1024, 4096):
        fill(disk, free_bytes)
        try:
            build_index(library, out, encoder, copy_media=True, fresh=True)
        except StorageError as error:
            assert f"{out} cannot be written: No space left on device" in str(error)
            assert "Free some space, or name another --out; the old index is untouched" in str(
                error
            )
            assert len(Bundle.open(out).records) == 4
            n_failed += 1
        else:
            break
        assert {path.name for path in disk.iterdir()} == {"b", ".b.work", "filler"}
        assert not list((disk / ".b.work").glob("*.partial"))
    assert n_failed > 3  # in the work folder, the embeddings, the index, the media, …
    assert len(Bundle.open(out).records) == 3


def test_read_only_disk_is_named(disk: Path, library: Path, encoder: FakeEncoder):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StorageError, match=r"Read-only file system .*; no index was written"):
        build_index(library, disk / "b", encoder)


def test_limit_on_the_size_of_files_is_named(tmp_path: Path, library: Path, encoder: FakeEncoder):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(StorageError, match=r"File too large.* Allow larger files \(ulimit"):
            build_index(library, tmp_path / "b", encoder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class WideEncoder(FakeEncoder):
    """With embeddings as large as those of a real one: they do not fit into one page of a file."""

    dim = 512

    def encode_pixels(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        return np.pad(super().encode_pixels(pixels), ((0, 0), (0, self.dim - 3)))


def test_limit_on_the_size_of_files_is_named_wherever_it_is_met(tmp_path: Path):
    for number in range(60):
        save_gif(tmp_path / "media" / f"{number}.gif", [(number, 99, 9), (9, number, 99)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    n_failed = 0
    for limit in range(20_000, 400_000, 40_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            build_index(tmp_path / "media", tmp_path / "b", WideEncoder(), fresh=True)
        except StorageError as error:
            assert "cannot be written: File too large. Allow" in str(error), limit
            n_failed += 1
        else:
            break
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert n_failed > 2


def test_file_in_the_place_of_the_work_folder_is_named(tmp_path: Path, library: Path, encoder):
    (tmp_path / ".b.work").write_text("precious")
    with pytest.raises(StorageError, match=r"File exists \(.*\.b\.work\)"):
        build_index(library, tmp_path / "b", encoder)
    assert (tmp_path / ".b.work").read_text() == "precious"


def test_out_that_is_not_utf8_is_refused(tmp_path: Path, library: Path, encoder):
    with pytest.raises(OutputError, match=r"b\\udcff' cannot be used"):
        build_index(library, tmp_path / "b\udcff", encoder)


def test_index_is_whole_when_only_the_notes_beside_it_cannot_be_written(
    tmp_path: Path, library: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    def refuse(self, keys) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(state.BuildState, "_keep_only", refuse)
    report = build_index(library, tmp_path / "b", encoder)
    assert report.notes == (
        ".b.work cannot be written (No space left on device), so that the next build reads all "
        "files once more.",
    )
    assert len(Bundle.open(tmp_path / "b").records) == 4

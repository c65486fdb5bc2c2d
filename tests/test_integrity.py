"""A bundle whose bytes changed is refused by name, and an unchanged one is read once."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import faiss
import numpy as np
import pytest

from retrieval.errors import BundleError
from retrieval.hub import checked, verify
from retrieval.hub.verify import changed_files, sha256_of
from retrieval.library import Bundle, VectorIndex, faiss_file, manifest_at, verify_bundle
from retrieval.library.index_plan import KINDS
from retrieval.library.manifest import MANIFEST, read_manifest
from retrieval.paths import ROOT, STARTER
from tests.support.flips import (
    VARIANTS,
    answers,
    every_change,
    random_changes,
    try_changes,
    write_small_bundle,
)
from tests.support.manifests import accept_changes, edit_manifest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of what is known."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "clip-reaction-search" / checked.FILE


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read to hash them."""
    names: list[str] = []

    def read(file: Path, *more: Callable[[int], None]) -> str:
        names.append(file.name)
        return sha256_of(file, *more)

    monkeypatch.setattr(verify, "sha256_of", read)
    return names


# Changed bytes


@pytest.mark.parametrize("variant", VARIANTS)
def test_flipped_byte_of_any_file_is_a_named_error(tmp_path: Path, variant: str):
    bundle = write_small_bundle(tmp_path / "bundle", variant)
    n_bytes = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
    outcomes = try_changes(bundle, every_change(bundle, 0, n_bytes // 60))
    assert outcomes.counts["named error"] + outcomes.counts["identical"] == outcomes.counts.total()
    assert outcomes.counts["named error"] >= 60


@pytest.mark.parametrize("variant", ["ivf-rabitq", "signals"])
def test_parsers_survive_changes_with_hashes_that_fit(tmp_path: Path, variant: str):
    bundle = write_small_bundle(tmp_path / "bundle", variant)
    outcomes = try_changes(bundle, random_changes(bundle, 80), accept=True)
    assert outcomes.counts.total() == 80 and outcomes.counts["named error"] > 10
    assert not {"unnamed error", "hang", "crash"} & outcomes.counts.keys(), outcomes.examples
    assert outcomes.peak_mb < 200


def flip(file: Path, at: int = 100) -> None:
    """Change a byte in place, and set the time of modification back."""
    facts, data = file.stat(), bytearray(file.read_bytes())
    data[at] ^= 1
    with file.open("r+b") as opened:
        opened.write(data)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_byte_changed_after_the_bundle_was_opened_is_found(cache: Path, tmp_path: Path):
    bundle = write_small_bundle(tmp_path / "bundle", "flat")
    Bundle.open(bundle)
    flip(bundle / "vectors.faiss")
    with pytest.raises(BundleError, match=r"vectors\.faiss is not the file that was written"):
        Bundle.open(bundle)
    flip(bundle / "vectors.faiss")
    Bundle.open(bundle)
    flip(next((bundle / "media").iterdir()), 10)
    with pytest.raises(BundleError, match=r"-0\.gif is not the file"):
        Bundle.open(bundle)


# What is known of files


def test_unchanged_bundle_is_read_once_and_one_written_here_never(
    cache: Path, hashed: list[str], tmp_path: Path
):
    written = write_small_bundle(tmp_path / "bundle", "signals")
    Bundle.open(written)
    assert hashed == []
    copied = shutil.copytree(written, tmp_path / "copied")
    Bundle.open(copied)
    assert len(hashed) == len(manifest_at(copied).files)
    del hashed[:]
    Bundle.open(copied)
    assert hashed == []
    result = verify_bundle(copied)
    assert len(hashed) == result.n_files and "all 14 files are what its manifest" in str(result)


def remove_store(store: Path) -> None:
    store.unlink()


def damage_pages(store: Path) -> None:
    store.write_bytes(store.read_bytes()[:4096] + os.urandom(8192))


def damage_head(store: Path) -> None:
    store.write_bytes(b"no database")


def replace_by_other_tables(store: Path) -> None:
    store.unlink()
    with closing(sqlite3.connect(store)) as db:
        db.execute("CREATE TABLE files (folder, name)")
        db.execute("CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM files; END")


@pytest.mark.parametrize(
    "damage", [remove_store, damage_pages, damage_head, replace_by_other_tables]
)
def test_damaged_store_is_made_anew(cache: Path, hashed: list[str], tmp_path: Path, damage):
    bundle = write_small_bundle(tmp_path / "bundle", "flat")
    damage(cache)
    Bundle.open(bundle)
    assert len(hashed) == len(manifest_at(bundle).files)
    del hashed[:]
    Bundle.open(bundle)
    assert hashed == []


def test_store_that_cannot_be_written_costs_a_reading_each_time(
    hashed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "in the way"))
    bundle = write_small_bundle(tmp_path / "bundle", "flat")
    for times in (1, 2):
        Bundle.open(bundle)
        assert len(hashed) == times * len(manifest_at(bundle).files)


def test_processes_that_check_at_once_all_remember(cache: Path, hashed: list[str], tmp_path: Path):
    folders = [tmp_path / f"folder-{number}" for number in range(4)]
    for folder in folders:
        folder.mkdir()
        for number in range(50):
            (folder / f"{number}.bin").write_bytes(bytes([number]))
    program = (
        "import sys, hashlib\nfrom pathlib import Path\n"
        "from retrieval.hub import changed_files\n"
        "hashes = {f'{n}.bin': hashlib.sha256(bytes([n])).hexdigest() for n in range(50)}\n"
        "sys.exit(len(changed_files(Path(sys.argv[1]), hashes)))"
    )
    command = [sys.executable, "-c", program]
    running = [subprocess.Popen([*command, str(folder)], cwd=ROOT) for folder in folders]
    assert [process.wait(60) for process in running] == [0, 0, 0, 0]
    hashes = {f"{number}.bin": "0" * 64 for number in range(50)}
    assert [len(changed_files(folder, hashes)) for folder in folders] == [50] * 4
    assert hashed == []
    shutil.rmtree(folders[0])
    checked.remember(folders[1], {"x": (checked.FileFacts(0, 0, 0, 0), "")})
    assert checked.known_files(folders[0]) == {} and len(checked.known_files(folders[2])) == 50


# The manifest


def test_manifest_without_a_checksum_is_read_as_before(tmp_path: Path):
    bundle = write_small_bundle(tmp_path / "bundle", "flat")
    facts = json.loads((bundle / MANIFEST).read_text())
    del facts["checksum"]
    (bundle / MANIFEST).write_text(json.dumps(facts))
    assert Bundle.open(bundle).manifest.checksum == ""


def test_shipped_manifest_has_a_checksum_that_fits():
    assert len(read_manifest(STARTER).checksum) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"n_gifs": "40"},
        {"dim": -1},
        {"files": []},
        {"signals": "frames"},
        {"index_parameters": {"candidates": "many"}},
        {"index_parameters": {"candidates": 0}},
    ],
)
def test_manifest_of_other_types_is_a_named_error(tmp_path: Path, changes: dict[str, object]):
    bundle = write_small_bundle(tmp_path / "bundle", "rabitq")
    edit_manifest(bundle, **changes)
    with pytest.raises(BundleError, match="Rebuild it"):
        Bundle.open(bundle)


# FAISS


@pytest.mark.parametrize("kind", KINDS)
def test_every_count_of_a_faiss_file_is_checked_before_faiss_reads_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    file = write_small_bundle(tmp_path / "bundle", kind) / "vectors.faiss"
    numbers: list[tuple[int, str]] = []

    class Recording(faiss_file._Walk):
        def _number(self, kind: str) -> int:
            numbers.append((self.at, kind))
            return super()._number(kind)

    with monkeypatch.context() as patch:
        patch.setattr(faiss_file, "_Walk", Recording)
        faiss_file.check_layout(file)
    assert len(numbers) >= {"flat": 5, "rabitq": 20, "ivf-rabitq": 30}[kind]
    monkeypatch.setattr(faiss, "read_index", lambda path: pytest.fail("it was read"))
    data = file.read_bytes()
    for at, form in numbers:
        for value in (b"\xff\xff\xff\x3f\0\0\0\0", b"\xff" * 8):  # a gigabyte; -1
            end = at + struct.calcsize(f"<{form}")
            file.write_bytes(data[:at] + value[: end - at] + data[end:])
            with pytest.raises(BundleError, match="is no FAISS index that can be read"):
                VectorIndex.load(file)


def test_texts_that_the_catalogue_does_not_have_are_refused(tmp_path: Path):
    bundle = write_small_bundle(tmp_path / "bundle", "signals")
    rows = bundle / "signals" / "words.rows"
    gifs = np.fromfile(rows, "<i4")
    gifs[9] = 8  # two texts of GIF 8, which has one
    gifs.tofile(rows)
    accept_changes(bundle)
    with pytest.raises(BundleError, match=r"words\.rows counts other texts than the catalogue"):
        answers(bundle)


def test_faiss_file_of_another_kind_is_refused_unread(tmp_path: Path):
    index = faiss.index_factory(16, "HNSW8", faiss.METRIC_INNER_PRODUCT)
    index.add(np.eye(16, dtype=np.float32))
    faiss.write_index(index, str(tmp_path / "hnsw.faiss"))
    with pytest.raises(ValueError, match="is no index of a known kind"):
        faiss_file.check_layout(tmp_path / "hnsw.faiss")


def test_row_numbers_beyond_the_index_are_refused(tmp_path: Path):
    bundle = write_small_bundle(tmp_path / "bundle", "ivf-rabitq")
    file = bundle / "vectors.faiss"
    data = bytearray(file.read_bytes())
    data[-8:] = struct.pack("<q", 40)  # the last row of the last list; rows are 0 to 39
    file.write_bytes(data)
    accept_changes(bundle)
    with pytest.raises(BundleError, match="lists that do not hold each of 40 rows once"):
        Bundle.open(bundle)

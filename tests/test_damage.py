"""Damage to what earlier builds left: found, named, and mended by the next build."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BLUE, GREEN, RED, YELLOW, FakeEncoder, save_gif

from retrieval.build import state
from retrieval.build.build import build_index
from retrieval.build.downloads import Downloader
from retrieval.embedding import pipeline
from retrieval.errors import BundleError, OutputError
from retrieval.hub.verify import sha256_of
from retrieval.library import bundle as bundles
from retrieval.library.bundle import Bundle
from retrieval.library.embeddings import GifFrames, ShardStore
from retrieval.library.manifest import MANIFEST
from retrieval.media import Facts

SHARD = Path("embeddings/part-00000.parquet")


@pytest.fixture(autouse=True)
def _small_parts_and_settled_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "RACY_NS", 0)
    monkeypatch.setattr(state, "COMMIT_FRAMES", 4)
    monkeypatch.setattr(pipeline, "BATCH_SIZE", 2)


def contents(out: Path) -> list[tuple]:
    """All records of a bundle, each with its embeddings."""
    bundle = Bundle.open(out)
    rows = bundle.embeddings
    return [
        (record, rows.vectors[rows.gif_numbers == number].tobytes())
        for number, record in enumerate(bundle.records)
    ]


def flip_bit(file: Path, at: float = 0.5) -> None:
    """Change one bit, and neither the size nor the time of change."""
    facts, data = file.stat(), bytearray(file.read_bytes())
    data[int(len(data) * at)] ^= 4
    file.unlink()  # other folders may link to the same file
    file.write_bytes(data)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))


class Dying(FakeEncoder):
    """Dies with the fifth batch, when parts of the work are on disk."""

    n = 0

    def encode_pixels(self, pixels):
        self.n += 1
        if self.n == 5:
            raise KeyboardInterrupt
        return super().encode_pixels(pixels)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for i in range(12):
        colours = [(9 * i, 255 - i, i), *[BLUE, RED, GREEN, YELLOW][: i % 4]]
        save_gif(tmp_path / "source" / f"{i:02}.gif", colours)
    return tmp_path / "source"


@pytest.fixture
def interrupted(tmp_path: Path, source: Path) -> Path:
    """A bundle, and beside it the work of a build over more files that was killed."""
    build_index(source, tmp_path / "b", FakeEncoder())
    for i in range(12, 24):
        save_gif(source / f"{i:02}.gif", [(i, 99 + i, 255), (255, 3 * i, 0)])
    with pytest.raises(KeyboardInterrupt):
        build_index(source, tmp_path / "b", Dying())
    with closing(sqlite3.connect(tmp_path / ".b.work" / state.STATE)) as db:
        assert db.execute("SELECT count(*) FROM gifs").fetchone()[0] >= 2
    return tmp_path / "b"


def test_flipped_bit_in_embeddings_is_not_carried_over(tmp_path: Path, source: Path):
    out = tmp_path / "b"
    build_index(source, out, FakeEncoder())
    expected = contents(out)
    flip_bit(out / SHARD)
    report = build_index(source, out, FakeEncoder())
    assert report.n_embedded == 12
    assert report.notes == (
        "b: its embeddings are damaged (part-00000.parquet is not the file that was written), "
        "everything is embedded again.",
    )
    assert contents(out) == expected
    assert build_index(source, out, FakeEncoder()).notes == ()


def test_one_damaged_shard_of_several_costs_its_own_gifs(tmp_path: Path, source, monkeypatch):
    monkeypatch.setattr("retrieval.library.writer.ROWS_PER_SHARD", 10)
    out = tmp_path / "b"
    build_index(source, out, FakeEncoder())
    expected = contents(out)
    flip_bit(out / "embeddings" / "part-00001.parquet")
    report = build_index(source, out, FakeEncoder())
    assert 0 < report.n_embedded < 12
    assert f"{report.n_embedded} of 12 GIFs are embedded again" in report.notes[0]
    assert contents(out) == expected


def test_flipped_bit_in_the_catalogue_is_not_carried_over(tmp_path: Path, source: Path):
    out = tmp_path / "b"
    build_index(source, out, FakeEncoder())
    expected = contents(out)
    flip_bit(out / "catalog.parquet")
    report = build_index(source, out, FakeEncoder())
    assert report.notes == (
        "Everything is embedded again: catalog.parquet is not the file that was written.",
    )
    assert contents(out) == expected


def test_damaged_copy_of_media_is_taken_from_the_source_again(tmp_path: Path, source: Path):
    out = tmp_path / "b"
    build_index(source, out, FakeEncoder(), copy_media=True)
    flip_bit(out / "media" / "03.gif")
    report = build_index(source, out, FakeEncoder(), copy_media=True)
    assert report.n_embedded == 0
    assert report.notes == (
        "b: 1 of its media files are not what was written (03.gif), and are taken from the "
        "source again.",
    )
    assert all(sha256_of(out / record.uri) == record.id for record in Bundle.open(out).records)


def test_damaged_file_of_a_bundle_built_from_its_own_media_is_read_again(tmp_path: Path, source):
    out = tmp_path / "b"
    build_index(source, out, FakeEncoder(), copy_media=True)
    build_index(out / "media", out, FakeEncoder(), copy_media=True)
    flip_bit(out / "media" / "03.gif", at=0.99)  # a later frame: it can still be decoded
    report = build_index(out / "media", out, FakeEncoder(), copy_media=True)
    assert (report.n_gifs + len(report.skipped), "03.gif" in report.notes[0]) == (12, True)
    assert all(sha256_of(out / record.uri) == record.id for record in Bundle.open(out).records)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.mark.parametrize("damaged", [SHARD, Path("catalog.parquet"), Path("../.b.work")])
def test_gifs_of_a_server_that_is_gone_are_embedded_from_their_copies(
    tmp_path: Path, source: Path, damaged: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "retrieval.build.incremental.Downloader", partial(Downloader, backoff_s=0.0)
    )
    build = partial(
        build_index,
        tmp_path / "urls.txt",
        tmp_path / "b",
        FakeEncoder(),
        copy_media=True,
        allow_private_addresses=True,
    )
    handler = partial(QuietHandler, directory=str(source))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/03.gif"
        (tmp_path / "urls.txt").write_text(f"{address}\n")
        build()
        server.shutdown()
    expected = contents(tmp_path / "b")
    if damaged.name == ".b.work":
        shutil.rmtree(tmp_path / "b" / damaged)
    else:
        flip_bit(tmp_path / "b" / damaged)
    report = build()
    assert report.skipped == ()
    kept = "is kept as it was" if damaged.name == ".b.work" else "is embedded from its copy"
    assert any(kept in note for note in report.notes)
    assert contents(tmp_path / "b") == expected


def test_damaged_download_of_an_unfinished_build_is_downloaded_again(tmp_path: Path):
    data = b"the bytes of a GIF"
    gif_id = hashlib.sha256(data).hexdigest()
    with state.BuildState(tmp_path / "b", {}) as work:
        work.downloads.keep(gif_id, data)
    kept = tmp_path / ".b.work" / "media" / gif_id
    for damage in (truncate, replace_by_folder, replace_by_link, replace_by_pipe, Path.unlink):
        damage(kept)
        with state.BuildState(tmp_path / "b", {}) as work:
            assert work.downloads.get(gif_id) is None
            work.downloads.keep(gif_id, data)
            assert work.downloads.get(gif_id) == kept
        assert kept.read_bytes() == data


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def replace_by_folder(file: Path) -> None:
    file.unlink()
    (file / "mine").mkdir(parents=True)


def replace_by_link(file: Path) -> None:
    target = file.parent.parent / "precious"
    target.write_text("precious")
    file.unlink()
    file.symlink_to(target)


def replace_by_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replace_by_other_parquet(file: Path) -> None:
    pq.write_table(pa.table({"wrong": [1, 2, 3]}), file)


def replace_by_other_tables(file: Path) -> None:
    file.unlink()
    change(file, "CREATE TABLE gifs (gif_id, vectors)")


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def fill_with_zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def fill_with_brackets(file: Path) -> None:
    file.write_bytes(b"[" * 200_000)  # JSON too deep to parse


DAMAGES: list[Callable[[Path], object]] = [
    truncate,
    flip_bit,
    empty,
    fill_with_zeros,
    fill_with_brackets,
    replace_by_folder,
    replace_by_link,
    replace_by_pipe,
    replace_by_other_parquet,
    replace_by_other_tables,
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["state.sqlite", "lock"])
def test_damaged_work_of_an_unfinished_build_is_done_again(
    tmp_path: Path, source: Path, interrupted: Path, name: str, damage
):
    build_index(source, tmp_path / "undisturbed", FakeEncoder())
    work = tmp_path / ".b.work"
    if name == "lock" and not (work / name).stat().st_size:
        (work / name).write_text("lock")
    damage(work / name)
    report = build_index(source, interrupted, FakeEncoder())
    assert contents(interrupted) == contents(tmp_path / "undisturbed")
    if name != "lock":
        (note,) = report.notes
        assert ("is damaged" in note and name in note) or "with other settings" in note
    if damage is replace_by_folder:
        assert (work / f"damaged-1-{name}.d" / "mine").is_dir()
    if damage is replace_by_link:
        assert (tmp_path / "precious").read_text() == "precious"
    assert build_index(source, interrupted, FakeEncoder()).notes == ()


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (
            ["UPDATE gifs SET vectors = zeroblob(12) WHERE rowid = 2"],
            "wrong digest in 1 of its rows",
        ),
        (["UPDATE gifs SET times_ms = x'01000000', width = 3"], "wrong digest in"),
        (["UPDATE files SET gif_id = (SELECT max(gif_id) FROM files)"], "wrong digest in"),
        (["UPDATE files SET reason = 'broken'"], "wrong digest in"),
        (["DELETE FROM settings"], ""),
        (["UPDATE settings SET value = '{'"], ""),
        (["CREATE TRIGGER t AFTER DELETE ON gifs BEGIN DELETE FROM files; END"], "not the tables"),
        (["ALTER TABLE gifs RENAME COLUMN vectors TO other"], "not the tables of this version"),
    ],
)
def test_changed_rows_and_tables_of_an_unfinished_build_are_not_used(
    tmp_path: Path, source: Path, interrupted: Path, statements: list[str], reason: str
):
    build_index(source, tmp_path / "undisturbed", FakeEncoder())
    change(tmp_path / ".b.work" / state.STATE, *statements)
    report = build_index(source, interrupted, FakeEncoder())
    assert contents(interrupted) == contents(tmp_path / "undisturbed")
    (note,) = report.notes
    assert f"(state.sqlite: {reason}" in note if reason else "with other settings" in note
    assert build_index(source, interrupted, FakeEncoder()).notes == ()


def test_every_flipped_bit_in_stored_embeddings_is_found(
    tmp_path: Path, source: Path, interrupted: Path
):
    build_index(source, tmp_path / "undisturbed", FakeEncoder())
    file = tmp_path / ".b.work" / state.STATE
    with closing(sqlite3.connect(file)) as db:
        (vectors,) = db.execute("SELECT vectors FROM gifs LIMIT 1").fetchone()
    data = bytearray(file.read_bytes())
    data[data.index(vectors) + 1] ^= 4
    file.write_bytes(data)
    report = build_index(source, interrupted, FakeEncoder())
    assert "state.sqlite: wrong digest in 1 of its rows" in report.notes[0]
    assert contents(interrupted) == contents(tmp_path / "undisturbed")


def test_embeddings_changed_while_a_build_runs_are_refused(tmp_path: Path):
    row = np.array([0], np.int32)
    frames = GifFrames("0" * 64, row, row, np.ones((1, 3), np.float32))
    with state.BuildState(tmp_path / "b", {}) as work:
        work.add(state.FileState("a.gif", frames.gif_id), frames, Facts(1, 0, 16, 16))
        assert work.frames_of(frames.gif_id, ShardStore()).vectors.tolist() == [[1.0, 1.0, 1.0]]
        work._db.execute("UPDATE gifs SET vectors = zeroblob(12)")
        with pytest.raises(OSError, match=r"state\.sqlite was changed during the build"):
            work.frames_of(frames.gif_id, ShardStore())


@pytest.mark.parametrize("damage", [truncate, empty, fill_with_zeros, flip_bit, *DAMAGES[-5:-2]])
def test_damaged_journal_of_a_killed_transaction_leaves_a_build_like_an_undisturbed_one(
    tmp_path: Path, source: Path, interrupted: Path, damage
):
    build_index(source, tmp_path / "undisturbed", FakeEncoder())
    file = tmp_path / ".b.work" / state.STATE
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA cache_size = 1")  # pages go to the file before the commit
        db.execute("UPDATE gifs SET vectors = zeroblob(90000)")
        names = (state.STATE, state.JOURNAL)
        killed = {name: (file.parent / name).read_bytes() for name in names}
    for name, data in killed.items():
        (file.parent / name).write_bytes(data)
    damage(file.parent / state.JOURNAL)
    build_index(source, interrupted, FakeEncoder())
    assert contents(interrupted) == contents(tmp_path / "undisturbed")
    if damage is replace_by_link:
        assert (tmp_path / "precious").read_text() == "precious"


def test_other_files_in_the_work_folder_stay(tmp_path: Path, source: Path, interrupted: Path):
    work = tmp_path / ".b.work"
    for name in ("part-abc.seen.parquet", "mine.txt", "seen.parquet", "part-00000.seen.parquet"):
        (work / name).write_text("?")
    assert build_index(source, interrupted, FakeEncoder()).notes == ()
    names = {path.name for path in work.iterdir()}
    assert names == {"part-abc.seen.parquet", "mine.txt", "state.sqlite", "lock"}  # not format 2


@pytest.mark.parametrize("seed", range(4))
def test_any_flipped_bit_leaves_a_build_like_an_undisturbed_one(
    tmp_path: Path, source: Path, interrupted: Path, seed: int
):
    build_index(source, tmp_path / "undisturbed", FakeEncoder())
    expected = contents(tmp_path / "undisturbed")
    chance = random.Random(seed)
    for number in range(8):
        folder = tmp_path / f"try-{number}"
        for name in ("b", ".b.work"):
            shutil.copytree(tmp_path / name, folder / name)
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        file = chance.choice([file for file in files if file.stat().st_size])
        flip_bit(file, chance.random())
        with suppress(BundleError):
            Bundle.open(folder / "b")
        try:
            build_index(source, folder / "b", FakeEncoder())
        except OutputError:  # the manifest no longer says that the folder is ours
            assert file.name == MANIFEST
            (folder / "b").rename(folder / "moved away")
            build_index(source, folder / "b", FakeEncoder())
        assert contents(folder / "b") == expected, file


def replace_by_loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


@pytest.mark.parametrize("replace", [replace_by_folder, replace_by_pipe, replace_by_loop])
@pytest.mark.parametrize(
    "name",
    ["manifest.json", "catalog.parquet", str(SHARD), "vectors.faiss", "media/03.gif", "media"],
)
def test_bundle_with_something_else_in_the_place_of_a_file_is_built_again_or_refused(
    tmp_path: Path, source: Path, name: str, replace
):
    out = tmp_path / "b"
    build_index(source, out, FakeEncoder(), copy_media=True)
    expected = contents(out)
    if name == "media":
        shutil.rmtree(out / name)
        (out / name).touch()
    replace(out / name)
    with pytest.raises(BundleError, match=r"Rebuild it|Build it"):
        Bundle.open(out)
    try:
        build_index(source, out, FakeEncoder(), copy_media=True)
    except OutputError:  # what may be the user's is not deleted
        assert name in ("manifest.json", "media") or replace is replace_by_folder
        assert os.path.lexists(out / name)
        out.rename(tmp_path / "moved away")
        build_index(source, out, FakeEncoder(), copy_media=True)
    assert contents(out) == expected


def test_bundle_that_is_swapped_while_it_is_opened_is_read_again(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
):
    """The catalogue of the old one, and all else of the new one."""
    build_index(source, tmp_path / "b", FakeEncoder())
    read, swaps = bundles.read_catalog, []

    def read_then_swap(path: Path):
        records = read(path)
        if not swaps:
            swaps.append(1)
            (source / "03.gif").unlink()
            build_index(source, tmp_path / "b", FakeEncoder())
        return records

    monkeypatch.setattr(bundles, "read_catalog", read_then_swap)
    assert len(Bundle.open(tmp_path / "b").records) == 11


def test_files_that_vanish_in_a_swap_of_two_renames_are_waited_for(tmp_path: Path, source: Path):
    out, old = tmp_path / "b", tmp_path / ".b.old"
    build_index(source, out, FakeEncoder())
    out.rename(old)
    threading.Timer(0.05, old.rename, [out]).start()
    assert len(Bundle.open(out).records) == 12


def test_bundle_that_is_damaged_and_not_swapped_fails_at_once(tmp_path: Path, source, monkeypatch):
    monkeypatch.setattr(bundles.time, "sleep", None)
    build_index(source, tmp_path / "b", FakeEncoder())
    truncate(tmp_path / "b" / "vectors.faiss")
    with pytest.raises(BundleError, match=r"vectors\.faiss is truncated or changed"):
        Bundle.open(tmp_path / "b")

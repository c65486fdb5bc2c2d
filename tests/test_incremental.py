"""Again, and only what is new is embedded; killed at any moment, and nothing is lost."""

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import BLUE, GREEN, RED, YELLOW, FakeEncoder, save_gif

from retrieval.build import state
from retrieval.build.build import build_index
from retrieval.errors import BundleError, SourceError
from retrieval.library.bundle import Bundle
from retrieval.media.limits import Limits
from retrieval.paths import ROOT


class CountingEncoder(FakeEncoder):
    """Counts the pictures that reach it, but for those that fill a batch up."""

    def __init__(self, name: str = "fake"):
        super().__init__(name)
        self.n = 0

    def encode_pixels(self, pixels):
        self.n += len({picture.tobytes() for picture in pixels})
        return super().encode_pixels(pixels)


@pytest.fixture(autouse=True)
def _trust_fresh_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files a test has just written count as settled."""
    monkeypatch.setattr(state, "RACY_NS", 0)


def build(library: Path, out: Path, **options):
    encoder = CountingEncoder(options.pop("name", "fake"))
    options = {"allow_private_addresses": True, **options}  # the test's server is on loopback
    return build_index(library, out, encoder, **options), encoder.n


def titles(out: Path) -> list[str]:
    return [record.title for record in Bundle.open(out).records]


def test_a_second_run_embeds_nothing_and_changes_nothing(tmp_path: Path, library: Path):
    (library / "broken.gif").write_text("no")
    first, n = build(library, tmp_path / "b")
    assert (first.n_embedded, n) == (4, 4)  # red and blue, the red of another GIF, …
    before = {p.name: p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file()}
    second, n = build(library, tmp_path / "b")
    assert (second.n_embedded, second.n_gifs, n) == (0, 4, 0)
    assert second.skipped == first.skipped and len(first.skipped) == 1
    assert {p.name: p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file()} == before


def test_unchanged_files_are_not_even_read(tmp_path: Path, library: Path, monkeypatch):
    build(library, tmp_path / "b")
    monkeypatch.setattr("retrieval.build.incremental.read_bytes", None)
    report, _ = build(library, tmp_path / "b")
    assert report.n_gifs == 4


def test_a_changed_file_costs_one_a_moved_one_nothing_and_a_deleted_one_leaves(
    tmp_path: Path, library: Path
):
    build(library, tmp_path / "b")
    save_gif(library / "a-red.gif", [(200, 100, 0)])
    (library / "d-yellow.gif").rename(library / "deep" / "z-moved.gif")
    (library / "deep" / "c-green.gif").unlink()
    report, n = build(library, tmp_path / "b")
    assert (report.n_embedded, n, report.n_gone) == (1, 1, 2)
    assert titles(tmp_path / "b") == ["a red", "b red blue", "z moved"]
    record = Bundle.open(tmp_path / "b").records[-1]
    assert record.uri == str(library / "deep" / "z-moved.gif")


def test_the_folder_beside_the_bundle_may_be_lost(tmp_path: Path, library: Path):
    build(library, tmp_path / "b")
    shutil.rmtree(tmp_path / ".b.work")
    report, n = build(library, tmp_path / "b")
    assert (report.n_embedded, n) == (0, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "other"}, "another checkpoint (fake before, other now)"),
        ({"frames": 2}, "another number of frames (8 before, 2 now)"),
        ({"fresh": True}, ""),
    ],
)
def test_other_settings_embed_all_again_and_say_so(tmp_path: Path, library: Path, options, said):
    build(library, tmp_path / "b")
    report, n = build(library, tmp_path / "b", **options)
    assert (report.n_embedded, n) == (4, 4)
    assert [said in note for note in report.notes] == ([True] if said else [])


def test_a_bound_that_became_stricter_holds_for_what_is_known(tmp_path: Path, library: Path):
    build(library, tmp_path / "b")
    report, _ = build(library, tmp_path / "b", limits=Limits(max_frames=1))
    assert [(s.path, s.reason) for s in report.skipped] == [
        ("b-red-blue.gif", "max_frames is 1, this has 2")
    ]
    assert report.n_gifs == 3


def test_a_build_that_dies_goes_on_where_it_was(tmp_path: Path, library: Path, monkeypatch):
    monkeypatch.setattr(state, "COMMIT_FRAMES", 1)
    monkeypatch.setattr("retrieval.embedding.pipeline.BATCH_SIZE", 1)

    class Dying(CountingEncoder):
        def encode_pixels(self, pixels):
            if self.n == 3:
                raise KeyboardInterrupt
            return super().encode_pixels(pixels)

    with pytest.raises(KeyboardInterrupt):
        build_index(library, tmp_path / "b", Dying())
    report, n = build(library, tmp_path / "b")
    assert report.n_gifs == 4 and n == 1


def test_two_builds_at_once_are_refused(tmp_path: Path, library: Path):
    with state.BuildState(tmp_path / "b", {}), pytest.raises(BundleError, match="Another build"):
        build(library, tmp_path / "b")


def test_a_source_that_went_away_leaves_the_bundle(tmp_path: Path, library: Path):
    build(library, tmp_path / "b")
    for path in library.rglob("*.gif"):
        path.write_text("no")
    with pytest.raises(SourceError, match=r"None of the 4 files .* the first: a-red"):
        build(library, tmp_path / "b")
    assert len(titles(tmp_path / "b")) == 4


@pytest.fixture
def address(library: Path) -> Iterator[str]:
    """The library on a server of its own; it answers 304 to what has not changed."""
    handler = partial(QuietHandler, directory=str(library))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


def test_addresses_are_copied_once_and_whenever_copies_are_first_wanted(
    tmp_path: Path, library: Path, address: str
):
    urls = tmp_path / "urls.txt"
    urls.write_text(f"{address}/a-red.gif\n{address}/gone.gif\n{address}/deep/c-green.gif\n")
    out = tmp_path / "b"
    first, n = build(urls, out)
    assert (n, [s.path for s in first.skipped]) == (2, [f"{address}/gone.gif"])
    assert [r.uri for r in Bundle.open(out).records] == [
        f"{address}/a-red.gif",
        f"{address}/deep/c-green.gif",
    ]
    for _ in range(2):  # the copies are wanted for the first time, and again
        report, n = build(urls, out, copy_media=True)
        assert (report.n_gifs, n) == (2, 0)
        bundle = Bundle.open(out)
        copies = [Path(bundle.media_path(record)).read_bytes() for record in bundle.records]
        assert copies == [(library / f).read_bytes() for f in ("a-red.gif", "deep/c-green.gif")]


PROGRAM = """
import sys, time
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from conftest import FakeEncoder
from retrieval.build import build_index, state
from retrieval.embedding import pipeline
state.COMMIT_FRAMES, state.RACY_NS, pipeline.BATCH_SIZE = 8, 0, 4
class Slow(FakeEncoder):
    def encode_pixels(self, pixels):
        time.sleep(0.04)
        return super().encode_pixels(pixels)
print("imported", flush=True)
out = Path(sys.argv[2])
build_index(Path(sys.argv[1]), out, Slow(), copy_media=True, signals=("frames",))
"""


def test_killed_ten_times_the_bundle_equals_that_of_an_undisturbed_build(tmp_path: Path):
    library = tmp_path / "library"
    for i in range(120):
        colours = [(2 * i, 255 - i, i), *([BLUE, RED, GREEN, YELLOW][: i % 4])]
        save_gif(library / f"{i:03}.gif", colours)
    program = PROGRAM.format(root=str(ROOT), tests=str(ROOT / "tests"))

    def start(out: str) -> subprocess.Popen:
        command = [sys.executable, "-c", program, str(library), str(tmp_path / out)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline() == b"imported\n"
        return process

    assert start("whole").wait(60) == 0
    moments = random.Random(0)
    killed = 0
    for _ in range(10):
        process = start("killed")
        time.sleep(moments.uniform(0.0, 0.5))  # of about 3 s of work
        killed += process.poll() is None
        process.kill()  # SIGKILL
        process.wait()
        if (tmp_path / "killed").exists():
            Bundle.open(tmp_path / "killed")  # whatever there is serves
    assert killed > 3
    assert start("killed").wait(60) == 0

    def files(out: str) -> dict[str, bytes]:
        folder = tmp_path / out
        return {
            str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()
        }

    assert files("killed") == files("whole")


def test_bundle_of_format_2_is_refused_and_rebuilt_from_its_embeddings(
    tmp_path: Path, library: Path
):
    out = tmp_path / "b"
    build(library, out)
    expected = Bundle.open(out)
    manifest = json.loads((out / "manifest.json").read_text())
    del manifest["index_rows"], manifest["checksum"]
    (out / "manifest.json").write_text(json.dumps({**manifest, "format_version": 2}))
    with pytest.raises(BundleError) as error:
        Bundle.open(out)
    assert "has format version 2; this program reads 3" in str(error.value)
    assert f"reaction-search build FOLDER --out {out}" in str(error.value)
    shutil.rmtree(tmp_path / ".b.work")  # of another program
    report, n = build(library, out)
    assert (report.n_embedded, n, report.notes) == (0, 0, ())
    again = Bundle.open(out)
    assert again.records == expected.records
    assert again.embeddings.vectors.tobytes() == expected.embeddings.vectors.tobytes()

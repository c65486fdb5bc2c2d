"""From a folder to a bundle: what goes in, what is left out, and that nothing else moves."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import RED, FakeEncoder, save_gif

from retrieval.build.build import build_index
from retrieval.embedding.pipeline import AHEAD, WAITING, WORKERS, Pipeline, Work
from retrieval.errors import SourceError
from retrieval.library.bundle import Bundle


def vectors_by_id(bundle: Bundle) -> dict[str, np.ndarray]:
    e = bundle.embeddings
    return {r.id: e.vectors[e.gif_numbers == number] for number, r in enumerate(bundle.records)}


def test_a_broken_gif_in_the_middle_changes_nothing_for_its_neighbours(
    tmp_path: Path, library: Path, bundle: Bundle, encoder: FakeEncoder
):
    whole = (library / "b-red-blue.gif").read_bytes()
    (library / "a-truncated.gif").write_bytes(whole[: len(whole) // 2])
    (library / "b-text.gif").write_text("this is no GIF")
    (library / "c-empty.gif").touch()

    report = build_index(library, tmp_path / "again", encoder)

    again = Bundle.open(tmp_path / "again")
    assert [r.id for r in again.records] == [r.id for r in bundle.records]
    for gif_id, vectors in vectors_by_id(bundle).items():
        np.testing.assert_array_equal(vectors_by_id(again)[gif_id], vectors)
    assert [(s.path, s.reason.split(" (")[0].split(";")[0]) for s in report.skipped] == [
        ("a-truncated.gif", "damaged or incomplete"),
        ("b-text.gif", "no picture that can be read"),
        ("c-empty.gif", "empty file"),
    ]
    assert (report.n_gifs, report.n_frames) == (4, 5)


def test_the_same_bytes_are_indexed_once_in_all_their_places(
    tmp_path: Path, library: Path, encoder
):
    (library / "z-copy.gif").write_bytes((library / "a-red.gif").read_bytes())
    report = build_index(library, tmp_path / "b", encoder)
    assert (report.n_gifs, report.n_exact_duplicates, report.skipped) == (4, 1, ())
    (red,) = [r for r in Bundle.open(tmp_path / "b").records if r.title == "a red"]
    assert red.places == ("a-red.gif", "z-copy.gif")


def test_what_metadata_says_of_a_file_is_in_its_record(tmp_path: Path, library: Path, encoder):
    described = {
        "file_name": "deep/c-green.gif",
        "title": "Leaf",
        "tags": ["plant", "spring"],
        "license": "CC0-1.0",
        "attribution": "A. Gardener",
    }
    (library / "metadata.jsonl").write_text(json.dumps(described) + "\n")
    build_index(library, tmp_path / "b", encoder)
    records = {r.title: r for r in Bundle.open(tmp_path / "b").records}
    leaf = records["Leaf"]
    assert (leaf.tags, leaf.license) == (("plant", "spring"), "CC0-1.0")
    assert records["a red"].license == "unknown"


def test_metadata_that_cannot_be_read_is_said(tmp_path: Path, library: Path, encoder):
    (library / "metadata.jsonl").write_text('{"title": "no file name"}\n')
    with pytest.raises(SourceError, match=r"metadata\.jsonl cannot be read"):
        build_index(library, tmp_path / "b", encoder)


def test_copied_media_make_a_bundle_that_can_be_moved_and_built_again(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    (library / "LICENSE.txt").write_text("MIT")
    build_index(library, tmp_path / "one", encoder, copy_media=True)
    moved = (tmp_path / "one").rename(tmp_path / "moved")
    first = Bundle.open(moved)
    for record in first.records:
        assert Path(first.media_path(record)).read_bytes()[:3] == b"GIF"
    assert (moved / "media" / "LICENSE.txt").read_text() == "MIT"

    build_index(moved / "media", moved, encoder, copy_media=True)
    second = Bundle.open(moved)
    assert second.records == first.records
    np.testing.assert_array_equal(second.embeddings.vectors, first.embeddings.vectors)


def test_frames_fill_batches_across_gifs(tmp_path: Path, encoder: FakeEncoder):
    sizes = []

    class Counting(FakeEncoder):
        def encode_pixels(self, pixels):
            sizes.append(len(pixels))
            return super().encode_pixels(pixels)

    for i in range(100):
        save_gif(tmp_path / "many" / f"{i:03}.gif", [(i, 255 - i, 2 * i)])
    build_index(tmp_path / "many", tmp_path / "b", Counting())
    assert sizes == [64, 64]  # the last one filled up


def test_pictures_that_came_before_fill_no_batch_and_pile_up_behind_none(
    tmp_path: Path, encoder: FakeEncoder
):
    """Were all to wait for the batch to fill up, memory would grow with the library."""
    for i in range(300):
        path = save_gif(tmp_path / "many" / f"{i:03}.gif", [RED])
        note = str(i).encode()
        path.write_bytes(path.read_bytes()[:-1] + b"!\xfe" + bytes([len(note)]) + note + b"\0;")
    read = []

    def work() -> Iterator[Work[Path]]:
        for path in sorted((tmp_path / "many").iterdir()):
            read.append(path)
            yield Work(path, path.read_bytes)

    done = Pipeline(encoder).run(work())
    assert next(done).error is None
    assert len(read) <= WAITING + AHEAD + WORKERS + 1 < 300
    assert sum(1 for one in done if one.frames) == 299


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda folder: None, "is no folder"),
        (lambda folder: folder.mkdir(), "No media in"),
        (lambda folder: save_gif(folder / ".hidden" / "a.gif", [RED]), "No media in"),
    ],
)
def test_a_folder_with_nothing_to_index_is_said(tmp_path: Path, encoder, make, expected: str):
    make(tmp_path / "source")
    with pytest.raises(SourceError, match=expected):
        build_index(tmp_path / "source", tmp_path / "b", encoder)
    assert not (tmp_path / "b").exists()


def test_a_folder_where_nothing_can_be_read_names_the_first_reason(tmp_path: Path, encoder):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.gif").write_text("no")
    with pytest.raises(SourceError, match=r"None of the 1 files .* a\.gif: no picture"):
        build_index(tmp_path / "source", tmp_path / "b", encoder)

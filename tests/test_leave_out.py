"""--leave-out: what a list names is not indexed, whether the build is a new one or an update."""

from pathlib import Path

import pytest
from conftest import GREEN, RED, FakeEncoder

from retrieval.build import LeaveOut, as_json, as_text, build_index
from retrieval.errors import SourceError
from retrieval.hub import sha256_of
from retrieval.library import Bundle


class WatchedEncoder(FakeEncoder):
    """Keeps the colour of the first pixel of each picture that reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, ...]] = set()

    def encode_pixels(self, pixels):
        self.seen |= {tuple(picture[0, 0].tolist()) for picture in pixels}
        return super().encode_pixels(pixels)


def list_of(folder: Path, *lines: object) -> LeaveOut:
    file = folder / "leave-out.txt"
    file.write_text("\n".join(map(str, lines)) + "\n", encoding="utf-8")
    return LeaveOut.read(file)


def titles(out: Path) -> list[str]:
    return [record.title for record in Bundle.open(out).records]


def test_named_files_are_not_indexed_and_stay(tmp_path: Path, library: Path, encoder: FakeEncoder):
    gif_id = sha256_of(library / "b-red-blue.gif")
    lines = "# red", "a-red.gif", "", gif_id[:16], library / "deep" / "c-green.gif", "gone.gif"
    report = build_index(library, tmp_path / "b", encoder, leave_out=list_of(tmp_path, *lines))
    assert titles(tmp_path / "b") == ["d yellow"]
    assert [skipped.path for skipped in report.skipped] == [
        "a-red.gif", "b-red-blue.gif", "deep/c-green.gif",
    ]  # fmt: skip
    assert "left out 3: named in leave-out.txt; the file stays where it is: a-red" in as_text(
        report
    )
    assert as_json(report)["gifs"] == 1
    assert any("1 lines of leave-out.txt match nothing" in note for note in report.notes)
    assert any("gone.gif" in note for note in report.notes)
    assert len(list(library.rglob("*.gif"))) == 4


def test_gif_named_by_its_id_is_not_embedded(tmp_path: Path, library: Path):
    encoder = WatchedEncoder()
    dropped = list_of(tmp_path, sha256_of(library / "deep" / "c-green.gif"))
    build_index(library, tmp_path / "some", encoder, leave_out=dropped)
    assert titles(tmp_path / "some") == ["a red", "b red blue", "d yellow"]
    assert RED in encoder.seen and GREEN not in encoder.seen


def test_update_honours_the_list_and_forgets_it_with_the_option(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    out = tmp_path / "b"
    build_index(library, out, encoder)
    before = titles(out)
    ids = [record.id for record in Bundle.open(out).records]
    report = build_index(library, out, encoder, leave_out=list_of(tmp_path, ids[0]))
    assert titles(out) == before[1:] and (report.n_gone, report.n_embedded) == (1, 0)
    build_index(library, out, encoder)
    assert titles(out) == before


def test_source_inside_of_its_bundle_keeps_the_files(tmp_path: Path, library: Path, encoder):
    out = tmp_path / "b"
    build_index(library, out, encoder, copy_media=True)
    dropped = list_of(tmp_path, "a-red.gif")
    build_index(out / "media", out, encoder, copy_media=True, leave_out=dropped)
    assert titles(out) == ["b red blue", "d yellow", "c green"]
    assert (out / "media" / "a-red.gif").is_file()


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "No such file"), (b"# only\n\n", "names nothing"), (b"\xff\xfe", "cannot be read")],
)
def test_list_that_says_nothing_is_refused(tmp_path: Path, content: bytes | None, expected: str):
    file = tmp_path / "list.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SourceError, match=expected):
        LeaveOut.read(file)

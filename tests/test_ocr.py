"""Words in pictures: read once per change, kept by state and catalogue, never at a file's cost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import BLUE, RED, FakeEncoder, save_gif
from PIL import Image, ImageDraw, ImageFont

from retrieval.build import as_html, as_json, as_text, state
from retrieval.build import build as build_module
from retrieval.build.build import build_index
from retrieval.embedding import Pipeline, Work
from retrieval.errors import CheckpointError, StoppedError
from retrieval.library import Bundle, Record, check_signals, read_catalog
from retrieval.library.catalog import write_catalog
from retrieval.media import PictureText
from retrieval.ocr import TextReader, picture_to_read
from retrieval.paths import ROOT, STARTER

WORDS = ("frames", "words")


def draw(*lines: str, size: int = 28) -> Image.Image:
    """Lines of white text at the bottom of a blue picture, as subtitles stand."""
    image = Image.new("RGB", (320, 200), (30, 60, 120))
    for number, line in enumerate(reversed(lines)):
        place = (16, 150 - 44 * number)
        ImageDraw.Draw(image).text(place, line, "white", font=ImageFont.load_default(size=size))
    return image


def save_frames(path: Path, frames: Sequence[Image.Image], duration_ms: int = 500) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration_ms, loop=0)
    return path


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader()


def read(reader: TextReader, *frames: Image.Image) -> tuple[PictureText, ...]:
    numbered = enumerate(map(picture_to_read, frames))
    return reader.read([(index, 500 * index, pixels) for index, pixels in numbered])


def test_text_in_a_picture_is_read_with_its_place(reader: TextReader):
    (text,) = read(reader, draw("well done, friend"))
    assert text.text == "well done, friend"
    assert (text.frame, text.time_ms) == (0, 0) and text.confidence > 0.8
    left, top, right, bottom = text.box
    assert 0 < left < 0.1 and 0.6 < top < bottom < 1 and 0.5 < right < 1


def test_picture_without_text_has_none(reader: TextReader):
    assert read(reader, Image.new("RGB", (320, 200), RED), draw()) == ()


def test_watermark_line_is_dropped(reader: TextReader):
    (text,) = read(reader, draw("see you later", "www.gifbin.com"))
    assert text.text == "see you later"
    assert read(reader, draw("www.gifbin.com")) == ()


def test_text_that_stays_is_listed_once(reader: TextReader):
    moving = [draw("nobody knows why") for _ in range(4)]
    for number, frame in enumerate(moving):
        ImageDraw.Draw(frame).ellipse((40 + 60 * number, 20, 90 + 60 * number, 70), "orange")
    assert [(t.text, t.frame) for t in read(reader, *moving)] == [("nobody knows why", 0)]


def test_changing_subtitle_is_listed_at_each_change(reader: TextReader):
    lines = ("how are you", "how are you", "never been better", "never been better")
    texts = read(reader, *map(draw, lines))
    assert [(t.text, t.frame, t.time_ms) for t in texts] == [
        ("how are you", 0, 0),
        ("never been better", 2, 1000),
    ]


def test_reader_stops_between_frames(reader: TextReader):
    frames = [(0, 0, picture_to_read(draw("hello")))] * 3
    asked = iter([False, True])
    with pytest.raises(StoppedError):
        reader.read(frames, lambda: next(asked))


def test_missing_and_damaged_models_are_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"korean\.onnx is missing.*--ocr-model"):
        TextReader(tmp_path / "korean.onnx")
    (tmp_path / "korean.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"korean\.onnx cannot be loaded"):
        TextReader(tmp_path / "korean.onnx").load()


def test_version_names_another_recogniser_by_its_content(tmp_path: Path, reader: TextReader):
    versions = {reader.version}
    for content in (b"one", b"other"):
        (tmp_path / "korean.onnx").write_bytes(content)
        versions.add(TextReader(tmp_path / "korean.onnx").version)
    assert len(versions) == 3


class FakeReader:
    """Reads the colour of each frame's first pixel, as red,green,blue."""

    version = "fake 1"
    calls: list[int]  # frames of each GIF that was read
    fails_at = 0  # the number of the call that the engine fails in

    def __init__(self, model: Path | None = None):
        self.model = model

    def load(self) -> None: ...

    def read(self, frames, stop=None) -> tuple[PictureText, ...]:
        self.calls.append(len(frames))
        if len(self.calls) == self.fails_at:
            raise RuntimeError("engine failed")
        box = (0.1, 0.2, 0.3, 0.4567)
        return tuple(
            PictureText(",".join(map(str, pixels[0, 0, ::-1])), index, time_ms, 0.987, box)
            for index, time_ms, pixels in frames
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeReader]:
    """A build reads with FakeReader, and trusts files that were just written."""
    kind = type("FakeReader", (FakeReader,), {"calls": []})
    monkeypatch.setattr(build_module, "TextReader", kind)
    monkeypatch.setattr(state, "RACY_NS", 0)
    return kind


def texts_of(out: Path) -> dict[str, list[tuple[str, int, int]]]:
    records = Bundle.open(out).records
    return {r.title: [(t.text, t.frame, t.time_ms) for t in r.texts] for r in records}


EXPECTED = {
    "a red": [("255,0,0", 0, 0)],
    "b red blue": [("255,0,0", 0, 0), ("0,0,255", 1, 100)],
    "c green": [("0,255,0", 0, 0)],
    "d yellow": [("255,255,0", 0, 0)],
}


def test_build_reads_words_and_reports_them(tmp_path: Path):
    save_frames(tmp_path / "gifs" / "a.gif", [draw("good night"), draw("sleep well")])
    save_gif(tmp_path / "gifs" / "b.gif", [BLUE])
    report = build_index(tmp_path / "gifs", tmp_path / "b", FakeEncoder(), signals=WORDS)
    bundle = Bundle.open(tmp_path / "b")
    assert texts_of(tmp_path / "b") == {
        "a": [("good night", 0, 0), ("sleep well", 1, 500)],
        "b": [],
    }
    assert bundle.manifest.signals == ["frames", "words"]
    assert bundle.manifest.text_reader == TextReader().version
    assert "words: read in 1 of 2 GIFs (2 texts)" in as_text(report)
    assert "reading words in parallel" in as_text(report)
    words = as_json(report)["words"]
    assert (words["gifs"], words["texts"]) == (1, 2) and words["seconds"] > 0
    assert "Read in 1 of 2 gifs (2 texts)" in as_html(report)


def test_unchanged_files_are_not_read_again(tmp_path: Path, library: Path, fake):
    first = build_index(library, tmp_path / "b", FakeEncoder(), signals=WORDS)
    assert sorted(fake.calls) == [1, 1, 1, 2] and first.n_texts == 5
    assert texts_of(tmp_path / "b") == EXPECTED
    again = build_index(library, tmp_path / "b", FakeEncoder(), signals=WORDS)
    assert len(fake.calls) == 4 and (again.n_embedded, again.n_texts) == (0, 5)
    assert texts_of(tmp_path / "b") == EXPECTED


def test_build_without_words_reads_none(tmp_path: Path, library: Path, fake):
    report = build_index(library, tmp_path / "b", FakeEncoder(), signals=["frames"])
    assert fake.calls == [] and not any(texts_of(tmp_path / "b").values())
    assert "words" not in as_text(report) and as_json(report)["words"] is None
    assert Bundle.open(tmp_path / "b").manifest.text_reader == ""


def test_words_of_another_reader_are_read_again(tmp_path: Path, library: Path, fake):
    build_index(library, tmp_path / "b", FakeEncoder(), signals=["frames"])
    report = build_index(library, tmp_path / "b", FakeEncoder(), signals=WORDS)
    assert (len(fake.calls), report.n_embedded) == (4, 4)
    assert "another reader of words (none before, fake 1 now)" in report.notes[0]
    fake.version = "fake 2"
    report = build_index(library, tmp_path / "b", FakeEncoder(), signals=WORDS)
    assert len(fake.calls) == 8 and "(fake 1 before, fake 2 now)" in report.notes[0]


def test_embeddings_stay_and_words_leave_when_none_are_wanted(tmp_path: Path, library: Path, fake):
    build_index(library, tmp_path / "b", FakeEncoder(), signals=WORDS)
    report = build_index(library, tmp_path / "b", FakeEncoder(), signals=["frames"])
    assert report.n_embedded == 0 and not any(texts_of(tmp_path / "b").values())


def test_killed_build_keeps_what_it_read(tmp_path: Path, library: Path, fake, monkeypatch):
    monkeypatch.setattr(state, "COMMIT_FRAMES", 1)
    monkeypatch.setattr("retrieval.embedding.pipeline.BATCH_SIZE", 1)

    class Dying(FakeEncoder):
        n = 0

        def encode_pixels(self, pixels):
            self.n += 1
            if self.n == 4:
                raise KeyboardInterrupt
            return super().encode_pixels(pixels)

    with pytest.raises(KeyboardInterrupt):
        build_index(library, tmp_path / "b", Dying(), signals=WORDS)
    fake.calls.clear()
    report = build_index(library, tmp_path / "b", FakeEncoder(), signals=WORDS)
    assert 0 < len(fake.calls) == report.n_embedded < 4
    assert texts_of(tmp_path / "b") == EXPECTED


def test_unfinished_work_of_another_reader_is_dropped(tmp_path: Path):
    for version in ("one", "other"):
        with state.BuildState(tmp_path / "b", {"text_reader": version}) as work:
            assert work.unfinished == {} and work.get("file") is None
            work.add(state.FileState("file", "id"))


def test_failing_engine_costs_no_file(tmp_path: Path, library: Path, fake):
    fake.fails_at = 2
    report = build_index(library, tmp_path / "b", FakeEncoder(), signals=WORDS)
    assert (report.n_gifs, report.n_with_words, report.skipped) == (4, 3, ())
    (note,) = report.notes
    assert note.startswith("The words in 1 GIFs could not be read")
    assert "RuntimeError: engine failed" in note


def test_model_that_cannot_be_loaded_ends_the_build(tmp_path: Path, library: Path):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    bad = {"signals": WORDS, "ocr_model": tmp_path / "bad.onnx"}
    with pytest.raises(CheckpointError, match=r"bad\.onnx cannot be loaded"):
        build_index(library, tmp_path / "b", FakeEncoder(), **bad)
    assert not (tmp_path / "b").exists()


def test_no_more_readers_are_made_than_decoders(tmp_path: Path, fake):
    made = []

    def make() -> FakeReader:
        made.append(threading.get_ident())
        return fake()

    pipeline = Pipeline(FakeEncoder(), readers=6, decoders=1, reader=make)  # type: ignore[arg-type]
    for turn in range(2):
        paths = [save_gif(tmp_path / f"{turn}-{n}.gif", [(n, turn, 9)]) for n in range(8)]
        done = list(pipeline.run(Work(path, path.read_bytes) for path in paths))
        assert [d.facts.texts[0].text for d in done if d.facts] == [
            f"{n},{turn},9" for n in range(8)
        ]
    assert len(made) == 1 and pipeline.timings.read > 0


def test_catalogue_returns_the_texts_that_were_written(tmp_path: Path):
    texts = (PictureText("one", 3, 250, 0.987, (0.1, 0.2, 0.3, 0.4567)),)
    records = [Record("a", "a.gif", "a", texts=texts), Record("b", "b.gif", "b")]
    write_catalog(records, tmp_path / "catalog.parquet")
    assert list(read_catalog(tmp_path / "catalog.parquet")) == records


def test_catalogue_of_before_words_were_read_opens(tmp_path: Path):
    write_catalog([Record("a", "a.gif", "a")], tmp_path / "new.parquet")
    old = pq.read_table(tmp_path / "new.parquet").drop_columns(["texts"])
    pq.write_table(old, tmp_path / "old.parquet")
    assert list(read_catalog(tmp_path / "old.parquet")) == [Record("a", "a.gif", "a")]
    assert all(record.texts == () for record in Bundle.open(STARTER).records)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["frames", "wrods"], "unknown signal 'wrods'; expected some of frames, words"),
        (["words"], "no signal 'frames'"),
        ([], "no signal 'frames'"),
    ],
)
def test_unknown_and_missing_signals_are_rejected(names: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        check_signals(names)


def run_build(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "retrieval.cli", "build", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)


def test_command_rejects_an_unknown_signal_and_a_model_without_words(tmp_path: Path):
    done = run_build(tmp_path, "--out", tmp_path / "b", "--signals", "frames,wrods")
    assert done.returncode == 2 and "unknown signal 'wrods'" in done.stderr
    model = ("--signals", "frames", "--ocr-model", "x.onnx")
    done = run_build(tmp_path, "--out", tmp_path / "b", *model)
    assert done.returncode != 0 and "--ocr-model is given, but --signals" in done.stderr


def test_command_reads_words_by_default(tmp_path: Path):
    save_frames(tmp_path / "gifs" / "a.gif", [draw("good night")])
    done = run_build(tmp_path / "gifs", "--out", tmp_path / "b", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["words"]["texts"] == 1
    assert texts_of(tmp_path / "b") == {"a": [("good night", 0, 0)]}
    assert Bundle.open(tmp_path / "b").manifest.signals == ["frames", "words", "names", "reaction"]


def test_korean_in_a_picture_is_read():
    picture = Image.open(Path(__file__).parent / "support" / "korean.png").convert("RGB")
    texts = TextReader().read([(0, 0, picture_to_read(picture))])
    assert ["".join(text.text.split()) for text in texts] == ["축하합니다"]

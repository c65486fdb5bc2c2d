"""What a person uploads is ranked like a library, in memory, with a reason for each left out."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import BLUE, GREEN, RED, FakeEncoder, save_gif, save_heavy_gif
from PIL import Image

from retrieval.embedding import pipeline
from retrieval.errors import BundleError, BusyError, SourceError, StoppedError
from retrieval.media.frames import convert_media
from retrieval.search.searcher import Searcher
from retrieval.web import uploads
from retrieval.web.turns import Turns


def png(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_uploads_are_ranked_by_all_their_frames(tmp_path: Path, encoder: FakeEncoder):
    gif = save_gif(tmp_path / "x.gif", [GREEN, BLUE]).read_bytes()
    files = [("red.png", png(RED)), ("letter.txt", b"Dear page"), ("late-blue.gif", gif)]
    collection = uploads.read_uploads(files, encoder)
    results = Searcher(collection, encoder).ask("blue")
    assert [r.record.title for r in results] == ["late-blue.gif", "red.png"]
    assert results[0].best_frame == 1
    assert collection.data[results[0].record.id] == gif
    assert [(s.path, s.reason.split(";")[0]) for s in collection.skipped] == [
        ("letter.txt", "no picture that can be read")
    ]


def test_too_many_too_large_and_nothing_readable_are_said(encoder: FakeEncoder):
    with pytest.raises(SourceError, match="101 files were uploaded; at most 100"):
        uploads.read_uploads([("a.png", png(RED))] * 101, encoder)
    with pytest.raises(SourceError, match=r"None of the uploaded files can be read: a\.gif: no"):
        uploads.read_uploads([("a.gif", b"text")], encoder)
    large = [(f"{i}.png", png(RED) + bytes(600_000)) for i in range(2)]
    with pytest.raises(SourceError, match=r"have 1 MB together; at most 1 MB are ranked\. Take"):
        uploads.read_uploads(large, encoder, max_total_mb=1)
    with pytest.raises(SourceError, match="2 files were uploaded; at most 1 are"):
        uploads.read_uploads(large, encoder, max_files=1)


def test_uploads_of_another_checkpoint_are_refused(encoder: FakeEncoder):
    collection = uploads.read_uploads([("a.png", png(RED))], encoder)
    with pytest.raises(BundleError, match="read with another checkpoint"):
        Searcher(collection, FakeEncoder("other"))


def decoding_peak(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files were being decoded at each start of one."""
    running: list[int] = []
    peaks: list[int] = []

    def slow(*args, **kwargs):
        running.append(1)
        peaks.append(len(running))
        time.sleep(0.02)
        try:
            return convert_media(*args, **kwargs)
        finally:
            running.pop()

    monkeypatch.setattr(pipeline, "convert_media", slow)
    return peaks


def test_one_file_is_decoded_at_a_time_however_many_people_upload(
    encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    peaks = decoding_peak(monkeypatch)
    people = [[(f"{i}.png", png((i, 9 * person, 50))) for i in range(5)] for person in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda files: uploads.read_uploads(files, encoder), people))
    assert [len(collection.records) for collection in done] == [5] * 4
    assert len(peaks) == 20 and max(peaks) == 1


def test_uploads_beyond_the_bound_are_refused_with_one_sentence(encoder: FakeEncoder):
    full = Turns(at_once=1, waiting=0)
    with full.turn(lambda: False), pytest.raises(BusyError, match="Too many people"):
        uploads.read_uploads([("a.png", png(RED))], encoder, turns=full)


def test_reading_uploads_stops_soon_when_nobody_waits_for_them(
    tmp_path: Path, encoder: FakeEncoder
):
    heavy = save_heavy_gif(tmp_path / "heavy.gif", 1_600, 1_500).read_bytes()
    files = [(f"{i}.gif", heavy + bytes(i)) for i in range(5)]
    start = time.monotonic()
    with pytest.raises(StoppedError):
        uploads.read_uploads(files, encoder, stop=lambda: time.monotonic() - start > 0.3)
    assert time.monotonic() - start < 1.5
    assert uploads.read_uploads([("a.png", png(RED))], encoder).records  # the turn is free again


def test_still_of_an_upload_is_made_once(tmp_path: Path, encoder: FakeEncoder):
    gif = save_gif(tmp_path / "x.gif", [GREEN, BLUE]).read_bytes()
    collection = uploads.read_uploads([("x.gif", gif)], encoder)
    still = collection.still(collection.records[0], 1, lambda: False)
    assert Image.open(io.BytesIO(still)).convert("RGB").getpixel((0, 0)) == BLUE
    assert collection.still(collection.records[0], 1, lambda: True) is still

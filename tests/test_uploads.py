"""What a person uploads is ranked like a library, in memory, with a reason for each left out."""

import gc
import io
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import BLUE, GREEN, RED, FakeEncoder, save_gif, save_heavy_gif
from PIL import Image

from retrieval.decoding import decode_frames
from retrieval.embedding import pipeline
from retrieval.errors import BundleError, BusyError, MediaError, SourceError, StoppedError
from retrieval.search.searcher import Searcher
from retrieval.web import uploads
from retrieval.web.turns import Turns


def png(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def embed_all(files: list[tuple[str, bytes]], encoder: FakeEncoder) -> uploads.Uploads:
    embedded = [uploads.embed_file(name, data, encoder) for name, data in files]
    return uploads.collect(embedded, encoder)


def test_uploads_are_ranked_by_all_their_frames(tmp_path: Path, encoder: FakeEncoder):
    gif = save_gif(tmp_path / "x.gif", [GREEN, BLUE]).read_bytes()
    collection = embed_all([("red.png", png(RED)), ("late-blue.gif", gif)], encoder)
    results = Searcher(collection, encoder).ask("blue")
    assert [r.record.title for r in results] == ["late-blue.gif", "red.png"]
    assert results[0].best_frame == 1


def test_unreadable_upload_is_named_with_the_reason(encoder: FakeEncoder):
    with pytest.raises(MediaError, match=r"a\.gif cannot be read: no picture"):
        uploads.embed_file("a.gif", b"text", encoder)


def test_unreadable_upload_is_freed_without_a_collection_of_garbage(encoder: FakeEncoder):
    tracemalloc.start()
    gc.disable()  # an idle server may not collect for long
    try:
        with pytest.raises(MediaError, match="cannot be read"):
            uploads.embed_file("a.gif", b"GIF89a" + bytes(60_000_000), encoder)
        assert tracemalloc.get_traced_memory()[0] < 5_000_000
    finally:
        gc.enable()
        tracemalloc.stop()


def test_too_many_and_too_large_uploads_are_said():
    with pytest.raises(SourceError, match="101 files were uploaded; at most 100"):
        uploads.check_uploads(101, 1, 100, 500)
    with pytest.raises(SourceError, match=r"have 1 MB together; at most 1 MB are ranked\. Take"):
        uploads.check_uploads(2, 1_200_000, 100, 1)


def test_uploads_of_another_checkpoint_are_refused(encoder: FakeEncoder):
    collection = embed_all([("a.png", png(RED))], encoder)
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
            return decode_frames(*args, **kwargs)
        finally:
            running.pop()

    monkeypatch.setattr(pipeline, "decode_frames", slow)
    return peaks


def test_one_file_is_decoded_at_a_time_however_many_people_upload(
    encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    peaks = decoding_peak(monkeypatch)
    people = [[(f"{i}.png", png((i, 9 * person, 50))) for i in range(5)] for person in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda files: embed_all(files, encoder), people))
    assert [len(collection.records) for collection in done] == [5] * 4
    assert len(peaks) == 20 and max(peaks) == 1


def test_uploads_beyond_the_bound_are_refused_with_one_sentence(encoder: FakeEncoder):
    full = Turns(at_once=1, waiting=0)
    with full.turn(lambda: False), pytest.raises(BusyError, match="Too many people"):
        uploads.embed_file("a.png", png(RED), encoder, turns=full)


def test_reading_uploads_stops_soon_when_nobody_waits_for_them(
    tmp_path: Path, encoder: FakeEncoder
):
    heavy = save_heavy_gif(tmp_path / "heavy.gif", 1_600, 1_500).read_bytes()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        uploads.embed_file("heavy.gif", heavy, encoder, stop=lambda: time.monotonic() - start > 0.3)
    assert time.monotonic() - start < 1.5
    assert embed_all([("a.png", png(RED))], encoder).records  # the turn is free again

"""What a person uploads is ranked like a library, in memory, with a reason for each left out."""

import io
from pathlib import Path

import pytest
from conftest import BLUE, GREEN, RED, FakeEncoder, save_gif
from PIL import Image

from retrieval import uploads
from retrieval.errors import BundleError, SourceError
from retrieval.search import Searcher


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

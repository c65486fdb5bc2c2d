"""The pipeline's promises to its callers: it can be stopped, and one file's error stays its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import BLUE, GREEN, RED, FakeEncoder, save_gif
from PIL import Image

from retrieval.embedding.pipeline import Pipeline, Work
from retrieval.errors import StoppedError, UnavailableError


def pieces(folder: Path, count: int) -> Iterator[Work[int]]:
    for i in range(count):
        path = save_gif(folder / f"{i:03}.gif", [(i, 255 - i, 2 * i), (255 - i, i, i)])
        yield Work(i, path.read_bytes)


class SlowEncoder(FakeEncoder):
    """Takes 50 ms to prepare a frame, and counts how many are being prepared at once."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.busy = self.most_busy = 0

    def prepare(self, image: Image.Image) -> np.ndarray:
        with self.lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        time.sleep(0.05)
        with self.lock:
            self.busy -= 1
        return super().prepare(image)


def pipeline_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("decode_", "encode_"))]


def wait_for_threads(timeout_s: float) -> list[str]:
    deadline = time.monotonic() + timeout_s
    while pipeline_threads() and time.monotonic() < deadline:
        time.sleep(0.02)
    return pipeline_threads()


def test_stopped_pipeline_raises_and_its_threads_end(tmp_path: Path):
    stop = threading.Event()
    run = Pipeline(SlowEncoder(), stop=stop.is_set).run(pieces(tmp_path, 80))
    threading.Timer(0.3, stop.set).start()
    start = time.monotonic()
    with pytest.raises(StoppedError, match=r"^The work was stopped\.$"):
        list(run)
    assert time.monotonic() - start < 0.3 + 1
    assert wait_for_threads(1) == []


def test_pipeline_stopped_while_a_batch_is_encoded_does_not_wait_for_it(tmp_path: Path):
    let_go, encoding = threading.Event(), threading.Event()

    class Stuck(FakeEncoder):
        def encode_pixels(self, pixels):
            encoding.set()
            let_go.wait(10)
            return super().encode_pixels(pixels)

    start = time.monotonic()
    with pytest.raises(StoppedError):
        list(Pipeline(Stuck(), stop=encoding.is_set).run(pieces(tmp_path, 3)))
    assert time.monotonic() - start < 5
    let_go.set()
    assert wait_for_threads(1) == []


def test_pipeline_left_by_its_caller_gives_up_what_it_decodes(tmp_path: Path):
    run = Pipeline(SlowEncoder(), readers=2).run(pieces(tmp_path, 400))
    next(run)
    start = time.monotonic()
    run.close()
    assert wait_for_threads(1) == []
    assert time.monotonic() - start < 1


def test_pipeline_decodes_no_more_files_at_once_than_it_has_decoders(tmp_path: Path):
    encoder = SlowEncoder()
    done = list(Pipeline(encoder, readers=6, decoders=1).run(pieces(tmp_path, 6)))
    assert [one.subject for one in done if one.frames] == list(range(6))
    assert encoder.most_busy == 1


def test_error_of_preparing_one_file_is_that_files_reason(tmp_path: Path):
    class Picky(FakeEncoder):
        def prepare(self, image):
            if image.getpixel((0, 0)) == GREEN:
                raise KeyError("no green")
            return super().prepare(image)

    paths = [save_gif(tmp_path / f"{i}.gif", [c]) for i, c in enumerate((RED, GREEN, BLUE))]
    done = list(Pipeline(Picky()).run(Work(path, path.read_bytes) for path in paths))
    assert [one.frames is not None for one in done] == [True, False, True]
    assert isinstance(done[1].error, UnavailableError)  # so the next build tries it again
    assert str(done[1].error) == "cannot be prepared for encoding (KeyError: 'no green')"

"""Small renditions: what is kept of a GIF, how many bytes, and their store on disk."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from hostile_media import full_frames_gif, many_frames_webp, png_without_palette, tiny_frames_gif
from PIL import Image

from retrieval.errors import MediaError, StoppedError
from retrieval.media import Limits
from retrieval.renditions import (
    VERSION,
    WIDTHS,
    RenditionStore,
    prepare_renditions,
    render_animation,
    render_still,
)
from retrieval.renditions import store as store_module
from retrieval.renditions.render import MAX_BYTES, MAX_DURATION_MS


def noisy_frames(n: int, size: tuple[int, int], mode: str = "RGB") -> list[Image.Image]:
    """Pictures of coarse noise, which no codec makes small; each differs from the last."""
    random = np.random.default_rng(7)
    shape = (size[1] // 4, size[0] // 4, len(mode))
    noise = [random.integers(0, 256, shape, np.uint8) for _ in range(n)]
    return [Image.fromarray(pixels, mode).resize(size) for pixels in noise]


def saved(frames: list[Image.Image], kind: str = "GIF", **options) -> bytes:
    file = io.BytesIO()
    options = {"duration": 50, "loop": 0} | options
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], **options)
    return file.getvalue()


def film(n: int, size: tuple[int, int], fps: int = 25, kind: str = "mp4") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream("mpeg4" if kind == "mp4" else "libvpx", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for image in noisy_frames(n, size):
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return file.getvalue()


def opened(rendition: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(rendition))
    assert image.format == "WEBP"
    return image


def duration_ms(image: Image.Image) -> int:
    total = 0
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        total += image.info["duration"]
    return total


GIF = saved(noisy_frames(40, (480, 270)))
SOURCES = {
    "gif": GIF,
    "webp": saved(noisy_frames(40, (480, 270)), "WEBP"),
    "apng": saved(noisy_frames(40, (480, 270)), "PNG", default_image=False),
    "mp4": film(50, (480, 270)),
    "webm": film(50, (480, 270), kind="webm"),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("width", WIDTHS)
def test_rendition_is_small_and_takes_as_long_as_its_source(kind: str, width: int):
    rendition = render_animation(SOURCES[kind], width)
    image = opened(rendition)
    assert image.size == (width, round(width * 270 / 480))
    assert len(rendition) <= MAX_BYTES[width]
    # An <img> shows no film, so a film's own bytes are no choice.
    assert kind in ("mp4", "webm") or len(rendition) < len(SOURCES[kind])
    assert 2 < image.n_frames <= 34  # 2 s, 15 to 17 frames a second at most
    assert duration_ms(image) == pytest.approx(2000, rel=0.03)


def test_frames_that_are_left_out_leave_the_others_at_their_times():
    colours = [(n * 10, 255 - n * 10, 128) for n in range(24)]
    plain = [Image.new("RGB", (300, 200), colour) for colour in colours]
    image = opened(render_animation(saved(plain, duration=20), 100))
    at = 0
    for number in range(image.n_frames):
        image.seek(number)
        red = image.convert("RGB").getpixel((50, 30))[0]
        assert abs(red - 10 * (at // 20)) <= 6  # the colour that the source has at this time
        at += image.info["duration"]
    assert image.n_frames == 8 and at == 24 * 20


def test_transparency_is_kept():
    frames = []
    for n in range(4):
        frame = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
        frame.paste((255, 0, 0, 255), (100, 20 * n, 200, 20 * n + 100))
        frames.append(frame)
    data = saved(frames, disposal=2)
    for picture in (render_animation(data, 100), render_still(data, 0, 100)):
        image = opened(picture).convert("RGBA")
        assert image.getpixel((5, 60))[3] == 0
        red, green, _, alpha = image.getpixel((50, 15))
        assert (red > 230, green < 25, alpha) == (True, True, 255)


@pytest.mark.parametrize(("loop", "plays"), [(None, 1), (0, 0), (2, 3)])
def test_loop_is_kept(loop: int | None, plays: int):
    frames = noisy_frames(3, (400, 300))
    options = {} if loop is None else {"loop": loop}
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], **options)
    assert opened(render_animation(file.getvalue(), 100)).info["loop"] == plays


def test_nothing_is_upscaled():
    assert opened(render_animation(film(10, (96, 64)), 480)).size == (96, 64)
    assert opened(render_still(GIF, 3, 480)).size == (480, 270)
    small = saved(noisy_frames(2, (64, 48)))
    assert opened(render_still(small, 1, 200)).size == (64, 48)


def test_small_original_is_served_as_it_is():
    near = saved(noisy_frames(2, (250, 60)))
    assert render_animation(near, 200) == near  # at most 1.3 times as wide, and few bytes
    assert render_animation(near, 100) != near


def test_original_with_fewer_bytes_than_its_rendition_wins():
    random = np.random.default_rng(1)
    dots = [Image.fromarray(random.integers(0, 2, (120, 400)).astype(bool)) for _ in range(6)]
    data = saved([image.convert("P") for image in dots])
    assert len(data) > 20_000  # of two colours: a GIF's codec knows them better than a film's
    assert len(render_animation(data, 480)) <= len(data)


def test_still_picture_gives_a_still_rendition():
    picture = saved(noisy_frames(1, (600, 400)), "PNG")
    image = opened(render_animation(picture, 200))
    assert image.size == (200, 133) and getattr(image, "n_frames", 1) == 1


def test_still_is_the_frame_that_was_asked_for():
    plain = [Image.new("RGB", (300, 200), colour) for colour in ("red", "lime", "blue")]
    red, green, blue = opened(render_still(saved(plain), 1, 100)).convert("RGB").getpixel((9, 9))
    assert red < 20 and green > 235 and blue < 20


def test_long_source_is_cut():
    frames = noisy_frames(3, (300, 200))
    data = saved(frames * 10, "WEBP", duration=1000)
    assert duration_ms(opened(render_animation(data, 200))) == MAX_DURATION_MS


def test_film_that_is_too_expensive_shows_its_beginning(monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(1000))
    monkeypatch.setattr("retrieval.media.limits.time.thread_time", lambda: next(clock) / 10)
    image = opened(render_animation(GIF, 200, Limits(max_decode_s=5)))
    assert 0 < duration_ms(image) < 1500


def test_hostile_files_are_refused_or_rendered_in_bounded_time():
    heavy = tiny_frames_gif(2_000, 2_900)
    start = time.process_time()
    assert len(render_animation(heavy, 200, Limits(max_decode_s=1))) < MAX_BYTES[200]
    assert time.process_time() - start < 4
    for data in (full_frames_gif(600, 900), many_frames_webp(1_000, 500)):
        assert len(render_animation(data, 200, Limits(max_decode_s=1))) < MAX_BYTES[200]
    for data in (b"", b"GIF89a", GIF[: len(GIF) // 2], png_without_palette(), b"<svg/>"):
        with pytest.raises(MediaError):
            render_animation(data, 200)
        with pytest.raises(MediaError):
            render_still(data, 0, 200)
    with pytest.raises(MediaError, match="max_pixels"):
        render_animation(GIF, 200, Limits(max_pixels=1000))


def test_rendering_stops_for_nobody():
    with pytest.raises(StoppedError):
        render_animation(GIF, 200, stop=lambda: True)


def test_other_widths_are_rejected():
    with pytest.raises(ValueError, match="width is 300; expected one of 100, 200, 480"):
        render_animation(GIF, 300)


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def stored(folder: Path) -> list[Path]:
    return sorted((folder / "renditions").rglob("*.rendition"))


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was rendered, of sources that are as quick to render as they are large."""
    sources: list[bytes] = []

    def render(data: bytes, *args: object) -> bytes:
        sources.append(data)
        return data

    monkeypatch.setattr(store_module, "render_animation", render)
    return sources


def test_store_renders_once_and_a_new_renderer_again(
    tmp_path: Path, rendered: list[bytes], monkeypatch: pytest.MonkeyPatch
):
    for _ in range(2):  # another process later
        store = RenditionStore(tmp_path, 10_000)
        assert store.animation(id_of(b"gif"), b"gif", 200) == b"gif"
    assert len(rendered) == 1
    monkeypatch.setattr(store_module, "VERSION", VERSION + 1)
    store.animation(id_of(b"gif"), b"gif", 200)
    assert len(rendered) == 2


def test_store_keeps_to_its_budget_and_forgets_what_was_used_least_recently(
    tmp_path: Path, rendered: list[bytes]
):
    store = RenditionStore(tmp_path, 10_000)
    sources = [bytes([n]) * 1_500 for n in range(1, 15)]
    for n, source in enumerate(sources):
        store.animation(id_of(source), source, 200)
        for path in stored(tmp_path):  # the file system's clock may be coarse
            facts = path.stat()
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns - 10**9))
        assert store.cached_animation(id_of(sources[0]), 200), n  # used each time
        assert sum(path.stat().st_size for path in stored(tmp_path)) <= 10_000
    kept = [store.cached_animation(id_of(source), 200) is not None for source in sources]
    assert kept[0] and kept[-1] and not any(kept[1:6])


def test_damaged_file_of_the_store_is_made_again(tmp_path: Path, rendered: list[bytes]):
    store = RenditionStore(tmp_path, 10_000)
    for damage in (lambda c: c[:-1], lambda c: b"", lambda c: c[:-1] + b"!", lambda c: c + b"!"):
        store.animation(id_of(b"gif"), b"gif", 200)
        (file,) = stored(tmp_path)
        file.write_bytes(damage(file.read_bytes()))
        assert store.cached_animation(id_of(b"gif"), 200) is None
        assert store.animation(id_of(b"gif"), b"gif", 200) == b"gif"
        assert store.cached_animation(id_of(b"gif"), 200) == b"gif"


def test_picture_under_another_ones_id_is_not_kept(tmp_path: Path, rendered: list[bytes]):
    store = RenditionStore(tmp_path, 10_000)
    assert store.animation(id_of(b"mine"), b"yours", 200) == b"yours"
    assert store.animation(id_of(b"mine"), b"mine", 200) == b"mine"
    assert store.cached_animation("../../secret", 200) is None


def test_files_that_are_not_renditions_stay(tmp_path: Path, rendered: list[bytes]):
    mine = tmp_path / "mine"
    (mine / "renditions").mkdir(parents=True)
    (mine / "renditions" / "thesis.txt").write_text("years of work")
    RenditionStore(mine, 10).animation(id_of(b"gif"), b"gif", 200)
    assert [path.name for path in mine.rglob("*") if path.is_file()] == ["thesis.txt"]

    store = RenditionStore(tmp_path, 3_000)
    store.animation(id_of(b"gif"), b"gif", 200)
    (folder,) = {path.parent for path in stored(tmp_path)}
    (folder / "thesis.txt").write_text("years of work" * 1_000)
    for n in range(1, 9):
        store.animation(id_of(bytes([n]) * 900), bytes([n]) * 900, 200)
    assert (folder / "thesis.txt").exists()


def test_store_that_is_wiped_works_on(tmp_path: Path, rendered: list[bytes]):
    import shutil

    store = RenditionStore(tmp_path, 10_000)
    for _ in range(2):
        assert store.animation(id_of(b"gif"), b"gif", 200) == b"gif"
        assert store.cached_animation(id_of(b"gif"), 200) == b"gif"
        shutil.rmtree(tmp_path / "renditions")


def test_where_nothing_can_be_kept_renditions_are_made_all_the_same(
    tmp_path: Path, rendered: list[bytes], caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("")  # no folder can be made in it, by root neither
    store = RenditionStore(tmp_path / "file", 10_000)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert store.animation(id_of(b"gif"), b"gif", 200) == b"gif"
    assert len(rendered) == 3 and len(caplog.records) == 1


def test_full_disk_leaves_nothing_half_written(
    tmp_path: Path, rendered: list[bytes], monkeypatch: pytest.MonkeyPatch
):
    store = RenditionStore(tmp_path, 10_000)
    store.animation(id_of(b"gif"), b"gif", 200)

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert store.animation(id_of(b"two"), b"two", 200) == b"two"
    assert len([path for path in (tmp_path / "renditions").rglob("*") if path.is_file()]) == 2


def test_two_processes_may_fill_one_store(tmp_path: Path):
    program = (
        "import hashlib, sys; from pathlib import Path\n"
        "from retrieval.renditions import RenditionStore, store\n"
        "store.render_animation = lambda data, *_: data\n"
        "own = RenditionStore(Path(sys.argv[1]), 40_000)\n"
        "for n in range(300):\n"
        "    data = bytes([n % 60 + 1]) * 1000\n"
        "    assert own.animation(hashlib.sha256(data).hexdigest(), data, 200) == data\n"
        "assert not own._has_warned\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    files = stored(tmp_path)
    assert files and all(path.stat().st_size == 1016 for path in files)
    assert sum(path.stat().st_size for path in files) <= 42_000


def test_library_is_prepared_once_and_a_broken_file_is_named(tmp_path: Path):
    good, broken = tmp_path / "good.gif", tmp_path / "broken.gif"
    good.write_bytes(GIF)
    broken.write_bytes(GIF[:5_000])
    files = [(id_of(GIF), good), (id_of(GIF[:5_000]), broken)]
    store = RenditionStore(tmp_path / "cache", 1_000_000)
    first = prepare_renditions(files, store, (100, 200))
    assert (first.n_made, first.n_stored) == (2, 0)
    assert [gif_id for gif_id, _ in first.failed] == [id_of(GIF[:5_000])]
    again = prepare_renditions(files, store, (100, 200))
    assert (again.n_made, again.n_stored) == (0, 2)

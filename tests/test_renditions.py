"""Small renditions: what is kept of a GIF, and how many bytes they have."""

from __future__ import annotations

import io
import time

import av
import numpy as np
import pytest
from hostile_media import full_frames_gif, many_frames_webp, png_without_palette, tiny_frames_gif
from PIL import Image

from retrieval.errors import MediaError, StoppedError
from retrieval.media import Limits
from retrieval.renditions import (
    WIDTHS,
    render_animation,
    render_still,
)
from retrieval.renditions.frames import MAX_DURATION_MS
from retrieval.renditions.render import MAX_BYTES


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


def film(
    n: int, size: tuple[int, int], fps: int = 25, kind: str = "mp4", codec: str = "mpeg4"
) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec if kind == "mp4" else "libvpx", rate=fps)
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
    assert len(rendition) <= MAX_BYTES["webp"][width]
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
    assert len(render_animation(heavy, 200, Limits(max_decode_s=1))) < MAX_BYTES["webp"][200]
    assert time.process_time() - start < 4
    for data in (full_frames_gif(600, 900), many_frames_webp(1_000, 500)):
        assert len(render_animation(data, 200, Limits(max_decode_s=1))) < MAX_BYTES["webp"][200]
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

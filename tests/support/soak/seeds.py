"""Small media files of every format that is read, painted here."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

# Codec, container, suffix; those that this build of ffmpeg lacks are left out.
FILMS = (
    ("libx264", "mp4", ".mp4"),
    ("libx265", "mp4", ".hevc.mp4"),
    ("libsvtav1", "mp4", ".av1.mp4"),
    ("libvpx", "webm", ".vp8.webm"),
    ("libvpx-vp9", "webm", ".vp9.webm"),
)
# On one thread each: on a busy machine their threads wait for one another for minutes.
FAST = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
    "libsvtav1": {"preset": "11", "svtav1-params": "lp=1"},
    "libvpx": {"deadline": "realtime"},
    "libvpx-vp9": {"deadline": "realtime"},
}
SIDE = 64
os.environ.setdefault("SVT_LOG", "1")  # errors only; it prints its settings for every film


def picture(number: int, side: int = SIDE) -> Image.Image:
    """A picture that differs from those of other numbers: a gradient with a bright square."""
    chance = np.random.default_rng(number)
    ramp = np.linspace(0, 255, side, dtype=np.float32)
    corners = chance.random((4, 3))
    pixels = (
        ramp[:, None, None] * corners[0] + ramp[None, :, None] * corners[1]
    ) / 2 + 60 * corners[2]
    x, y = chance.integers(0, side * 3 // 4, 2)
    pixels[y : y + side // 4, x : x + side // 4] = 255 * corners[3]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def seeds(number: int) -> Iterator[tuple[str, bytes]]:
    """(suffix, bytes) of one file of each format, of pictures that no other number has."""
    pictures = [picture(100 * number + i) for i in range(4)]
    animated = {"save_all": True, "append_images": pictures[1:], "duration": 80, "loop": 0}
    yield ".gif", _saved(pictures[0], "GIF", **animated)
    yield ".still.gif", _saved(pictures[1], "GIF")
    yield ".apng.png", _saved(pictures[0], "PNG", **animated)
    yield ".png", _saved(pictures[1], "PNG")
    yield ".palette.png", _saved(pictures[2].quantize(32), "PNG")
    yield ".jpg", _saved(pictures[1], "JPEG")
    yield ".progressive.jpg", _saved(pictures[2], "JPEG", progressive=True)
    yield ".webp", _saved(pictures[1], "WEBP")
    yield ".lossless.webp", _saved(pictures[2], "WEBP", lossless=True)
    yield ".animated.webp", _saved(pictures[0], "WEBP", **animated)
    for codec, kind, suffix in FILMS:
        try:
            yield suffix, film(pictures, codec, kind)
        except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, ValueError):
            continue


def film(pictures: list[Image.Image], codec: str, kind: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=10, options=FAST[codec])
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = pictures[0].size
        stream.codec_context.thread_count = 1
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 10)
        for image in pictures:
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return file.getvalue()


def write_good_files(folder: Path, count: int, first: int = 0) -> list[Path]:
    """Write `count` files of all formats in turn, none like another; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = list[Path]()
    number = first
    while len(files) < count:
        for suffix, data in seeds(1000 + number):
            files.append(folder / f"good-{number:04}{suffix}")
            files[-1].write_bytes(data)
            if len(files) == count:
                break
        number += 1
    return files


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()

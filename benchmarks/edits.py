"""Edited copies of a library's GIFs, as a GIF gets edited on its way round the web."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageSequence

from retrieval.media import on_white


@dataclass(frozen=True)
class Clip:
    """A decoded animation: RGB frames of one size, and how long each is shown."""

    frames: tuple[Image.Image, ...]
    delays_ms: tuple[int, ...]


def read_clip(path: Path) -> Clip:
    """All the frames of a GIF, on white."""
    with Image.open(path, formats=["GIF"]) as file:
        shown = [
            (on_white(f), int(f.info.get("duration", 100))) for f in ImageSequence.Iterator(file)
        ]
    return Clip(tuple(frame for frame, _ in shown), tuple(delay for _, delay in shown))


def _resized(clip: Clip, scale: float) -> Clip:
    width, height = clip.frames[0].size
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    return Clip(
        tuple(f.resize(size, Image.Resampling.BICUBIC) for f in clip.frames), clip.delays_ms
    )


def _cropped(clip: Clip, rng: np.random.Generator) -> Clip:
    """5 to 15 % of the width and of the height gone, from either side."""
    width, height = clip.frames[0].size
    lost_x, lost_y = rng.uniform(0.05, 0.15, 2) * (width, height)
    left, top = rng.uniform(0, 1, 2) * (lost_x, lost_y)
    box = tuple(round(v) for v in (left, top, left + width - lost_x, top + height - lost_y))
    return Clip(tuple(frame.crop(box) for frame in clip.frames), clip.delays_ms)


def _trimmed(clip: Clip, rng: np.random.Generator) -> Clip:
    """10 to 25 % of the frames gone, from the start, the end, or both."""
    n = len(clip.frames)
    lost = max(1, round(n * rng.uniform(0.10, 0.25)))
    at_start = round(lost * rng.choice([0, 0.5, 1]))
    kept = slice(at_start, n - (lost - at_start))
    return Clip(clip.frames[kept], clip.delays_ms[kept])


def _retimed(clip: Clip, rng: np.random.Generator) -> Clip:
    """Played at half to double speed, or every second or third frame dropped."""
    how = rng.integers(3)
    if how == 0:
        speed = rng.choice([0.5, 0.7, 1.4, 2.0])
        return Clip(clip.frames, tuple(max(20, round(d / speed)) for d in clip.delays_ms))
    if how == 1:  # half the frames, each shown twice as long
        return Clip(clip.frames[::2], tuple(2 * d for d in clip.delays_ms[::2]))
    kept = [i for i in range(len(clip.frames)) if i % 3 != 2]  # and faster by that
    return Clip(tuple(clip.frames[i] for i in kept), tuple(clip.delays_ms[i] for i in kept))


def _gif(clip: Clip, colours: int = 256) -> bytes:
    frames = [f.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG) for f in clip.frames]
    return _pillow(frames, clip.delays_ms, "GIF", disposal=1)


def _webp(clip: Clip, quality: int) -> bytes:
    return _pillow(clip.frames, clip.delays_ms, "WEBP", quality=quality, method=0)


def _pillow(
    frames: Sequence[Image.Image], delays_ms: Sequence[int], form: str, **options: int
) -> bytes:
    out = io.BytesIO()
    frames[0].save(
        out,
        form,
        save_all=True,
        append_images=frames[1:],
        duration=list(delays_ms),
        loop=0,
        **options,
    )
    return out.getvalue()


def _mp4(clip: Clip, crf: int) -> bytes:
    out = io.BytesIO()
    width, height = (side // 2 * 2 for side in clip.frames[0].size)  # H.264 wants even sides
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(1000, clip.delays_ms[0]))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        stream.thread_count = 1
        for image in clip.frames:
            frame = av.VideoFrame.from_image(image.crop((0, 0, width, height)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def _mix(clip: Clip, rng: np.random.Generator) -> tuple[str, bytes]:
    clip = _resized(_trimmed(_cropped(clip, rng), rng), rng.uniform(0.6, 1.6))
    if rng.integers(2):
        return ".mp4", _mp4(clip, int(rng.integers(28, 36)))
    return ".webp", _webp(clip, int(rng.integers(20, 50)))


# What a GIF goes through on its way round the web, by the name that the table shows.
Edit = Callable[[Clip, np.random.Generator], tuple[str, bytes]]
EDITS: dict[str, Edit] = {
    "resize": lambda c, rng: (".gif", _gif(_resized(c, float(rng.choice([0.5, 0.75, 1.5, 2.5]))))),
    "colours": lambda c, rng: (".gif", _gif(c, int(rng.choice([8, 16, 32])))),
    "webp": lambda c, rng: (".webp", _webp(c, int(rng.integers(10, 50)))),
    "mp4": lambda c, rng: (".mp4", _mp4(c, int(rng.integers(28, 38)))),
    "crop": lambda c, rng: (".gif", _gif(_cropped(c, rng))),
    "trim": lambda c, rng: (".gif", _gif(_trimmed(c, rng))),
    "retime": lambda c, rng: (".gif", _gif(_retimed(c, rng))),
    "mix": _mix,  # cropped, trimmed, resized and recompressed
}


def make_copies(
    path: Path, folder: Path, edits: Sequence[str] = tuple(EDITS)
) -> Iterator[tuple[str, Path]]:
    """(edit, file written to the folder) for every edit of one GIF; the same every time."""
    clip = read_clip(path)
    for edit in edits:
        rng = np.random.default_rng(zlib.crc32(f"{path.stem} {edit}".encode()))
        suffix, data = EDITS[edit](clip, rng)
        file = folder / f"{path.stem}--{edit}{suffix}"
        file.write_bytes(data)
        yield edit, file

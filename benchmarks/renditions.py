"""Time and bytes of small renditions, of the starter bundle's or of a folder's GIFs.

Results include reading, decoding, shrinking and encoding, in one thread, nothing cached.
`parameters` compares settings of the encoders on frames of width 200, by processor time.
"""

from __future__ import annotations

import hashlib
import io
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from retrieval.errors import MediaError
from retrieval.media import SUFFIXES, Look, films, pictures
from retrieval.renditions import (
    FORMATS,
    WIDTHS,
    RenditionStore,
    film,
    gif,
    prepare_renditions,
    render_animation,
)
from retrieval.renditions.frames import Frames, read_small
from retrieval.renditions.render import GAP_MS, RENDER_LIMITS

WIDE, HIGH = 480, 270  # of the originals that cost a page most
N_CARDS = 12
ENCODINGS = {
    "method 0": {"method": 0, "kmax": 0},
    "method 2": {"method": 2, "kmax": 0},
    "method 2, key frames": {"method": 2},
    "method 2, allow_mixed": {"method": 2, "kmax": 0, "allow_mixed": True},
    "method 2, minimize_size": {"method": 2, "minimize_size": True},
    "method 3": {"method": 3, "kmax": 0},
    "method 4": {"method": 4, "kmax": 0},
    "method 6": {"method": 6, "kmax": 0},
}
QUALITIES = (5, 10, 20, 30, 40, 60, 75)


def measure_renditions(folder: Path, n: int, parameters: bool) -> None:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    random.Random(0).shuffle(files)
    files = files[:n]
    sizes = [path.stat().st_size for path in files]
    print(
        f"{len(files)} files, kB {_spread(np.array(sizes) / 1e3)}; median, 5th to 95th percentile"
    )
    for format, width in product(FORMATS, WIDTHS):
        measure_width(files, width, format)
    measure_store(files)
    if parameters:
        measure_parameters(files[:12])
        measure_shrinking()


def measure_width(files: list[Path], width: int, format: str) -> None:
    took_ms, used_ms, kilobytes, cards = [], [], [], []
    for path in files:
        start, used = time.perf_counter(), time.thread_time()
        try:
            rendition = render_animation(path, width, format=format)
        except MediaError as error:
            print(f"  {path.name}: {error}")
            continue
        took_ms.append(1000 * (time.perf_counter() - start))
        used_ms.append(1000 * (time.thread_time() - used))
        kilobytes.append(len(rendition) / 1e3)
        with Image.open(path) as original:
            if original.width >= WIDE and original.height >= HIGH:
                cards.append((path.stat().st_size / 1e3, kilobytes[-1]))
    print(f"{format}, width {width}: kB {_spread(kilobytes)}, ms {_spread(took_ms)}")
    print(f"  ms of processor time {_spread(used_ms)}")
    if len(cards) >= N_CARDS:
        before, after = np.array(cards).mean(axis=0) * N_CARDS
        print(
            f"  {N_CARDS} of {WIDE} × {HIGH} or more, mean of {len(cards)}: "
            f"{before:,.0f} kB as files, {after:,.0f} kB as renditions"
        )


def measure_store(files: list[Path]) -> None:
    pairs = [(hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in files]
    with tempfile.TemporaryDirectory() as folder:
        store = RenditionStore(Path(folder), 2_000_000_000)
        start = time.perf_counter()
        prepare_renditions(pairs, store, (100, 200))
        print(f"widths 100 and 200 on all cores: {len(pairs) / _since(start):.1f} GIFs/s")
        start = time.perf_counter()
        for gif_id, _ in pairs:
            store.cached_animation(gif_id, 200)
        print(f"from the store: {1000 * _since(start) / len(pairs):.2f} ms")


def measure_parameters(files: list[Path]) -> None:
    sources = [read_small(path.read_bytes(), 200, GAP_MS["webp"], RENDER_LIMITS, _never)
               for path in files]  # fmt: skip
    base = [len(_webp(frames, {"quality": 50, "method": 2, "kmax": 0})) for frames in sources]
    for name, options in ENCODINGS.items():
        _compare(f"WebP {name}", sources, partial(_webp, options={"quality": 50} | options))
    for quality in QUALITIES:
        sizes = [len(_webp(f, {"quality": quality, "method": 2, "kmax": 0})) for f in sources]
        print(f"quality {quality}: {_spread(np.array(sizes) / base, 2)} of the bytes of 50")
    pixels = [len(f) * f.images[0].width * f.images[0].height for f in sources]
    print(f"bytes per pixel at 50: {_spread(np.array(base) / pixels, 3)}")
    for preset in ("superfast", "veryfast", "faster", "medium"):
        with mock.patch.object(films, "PRESET", preset):
            _compare(f"H.264 {preset}", sources, _h264)
    with mock.patch.object(films, "NO_REORDERING", {}):
        _compare("H.264 veryfast, reordering", sources, _h264)
    for method in (Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE, Image.Quantize.FASTOCTREE):
        for dither in (Image.Dither.NONE, Image.Dither.FLOYDSTEINBERG):
            with mock.patch.multiple(gif, METHOD=method, DITHER=dither):
                name = f"GIF {method.name.lower()}, {dither.name.lower()}"
                _compare(name, sources, partial(gif.encode_step, n_colours=255, loop=0))
    whole = np.array([len(gif.encode_step(f, 255, 0)) for f in sources])
    for n_colours in gif.RELATIVE_BYTES:
        shares = np.array([len(gif.encode_step(f, n_colours, 0)) for f in sources]) / whole
        print(f"GIF, {n_colours} colours: {_spread(shares, 2)} of the bytes of 255")


def _compare(name: str, sources: list[Frames], encode: Callable[[Frames], bytes]) -> None:
    start = time.thread_time()
    size = sum(len(encode(frames)) for frames in sources)
    per_frame = 1000 * (time.thread_time() - start) / sum(map(len, sources))
    print(f"{name:<32} {per_frame:6.2f} ms a frame, {size / 1e3:6,.0f} kB in all", flush=True)


def measure_shrinking() -> None:
    """A GIF's frame of 480 × 270 to width 200, whole and then smaller, or in one go."""
    pixels = np.random.default_rng(0).integers(0, 256, (HIGH, WIDE, 4), np.uint8)
    pixels[..., 3] = 255
    look = Look(max_size=(200, 400))
    for name, shrink in (
        ("first whole", lambda: look.apply(pictures._from_bgra(pixels, Look()))),
        ("in one go", lambda: pictures._from_bgra(pixels, look)),
    ):
        start = time.thread_time()
        for _ in range(200):
            shrink()
        print(f"shrinking, {name}: {1000 * (time.thread_time() - start) / 200:.2f} ms a frame")


def _webp(frames: Frames, options: dict[str, int]) -> bytes:
    first, *others = frames.images
    file = io.BytesIO()
    more = {"save_all": True, "append_images": others, "duration": frames.shown_ms()} | options
    first.save(file, "WEBP", **more)
    return file.getvalue()


def _h264(frames: Frames) -> bytes:
    duration_ms = frames.duration_ms or film.STILL_MS
    return films.encode_film(frames.images, frames.starts, duration_ms, film.QUALITY)


def _never() -> bool:
    return False


def _since(start: float) -> float:
    return time.perf_counter() - start


def _spread(values: np.ndarray | list[float], digits: int = 0) -> str:
    low, middle, high = np.percentile(values, [5, 50, 95])
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"

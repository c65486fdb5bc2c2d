"""Time and bytes of small renditions, of the starter bundle's or of a folder's GIFs.

Results include reading, decoding, shrinking and encoding, in one thread, nothing cached.
`parameters` compares libwebp's settings on frames of width 200, at quality 50.
"""

from __future__ import annotations

import io
import random
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from retrieval.errors import MediaError
from retrieval.media import SUFFIXES
from retrieval.renditions import WIDTHS, RenditionStore, prepare_renditions, render_animation
from retrieval.renditions import render as render_module

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
    for width in WIDTHS:
        measure_width(files, width)
    measure_store(files)
    if parameters:
        measure_parameters(files[:24])


def measure_width(files: list[Path], width: int) -> None:
    took_ms, kilobytes, cards = [], [], []
    for path in files:
        start = time.perf_counter()
        try:
            rendition = render_animation(path, width)
        except MediaError as error:
            print(f"  {path.name}: {error}")
            continue
        took_ms.append(1000 * (time.perf_counter() - start))
        kilobytes.append(len(rendition) / 1e3)
        with Image.open(path) as original:
            if original.width >= WIDE and original.height >= HIGH:
                cards.append((path.stat().st_size / 1e3, kilobytes[-1]))
    print(f"width {width}: ms {_spread(took_ms)}, kB {_spread(kilobytes)}")
    if len(cards) >= N_CARDS:
        before, after = np.array(cards).mean(axis=0) * N_CARDS
        print(
            f"  {N_CARDS} of {WIDE} × {HIGH} or more, mean of {len(cards)}: "
            f"{before:,.0f} kB as files, {after:,.0f} kB as renditions"
        )


def measure_store(files: list[Path]) -> None:
    import hashlib

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
    sources = [_frames(path) for path in files]
    n_frames = sum(len(images) for images, _ in sources)
    for name, options in ENCODINGS.items():
        start = time.perf_counter()
        size = sum(_encoded(images, ms, quality=50, **options) for images, ms in sources)
        per_frame = 1000 * _since(start) / n_frames
        print(f"{name:<26} {per_frame:6.2f} ms a frame, {size / 1e3:6,.0f} kB in all")
    base = [_encoded(images, ms, quality=50, method=2, kmax=0) for images, ms in sources]
    for quality in QUALITIES:
        sizes = [_encoded(images, ms, quality=quality, method=2, kmax=0) for images, ms in sources]
        print(f"quality {quality}: {_spread(np.array(sizes) / base, 2)} of the bytes of 50")
    pixels = [len(images) * images[0].width * images[0].height for images, _ in sources]
    print(f"bytes per pixel at 50: {_spread(np.array(base) / pixels, 3)}")


def _frames(path: Path) -> tuple[list[Image.Image], list[int]]:
    data, limits = path.read_bytes(), render_module.RENDER_LIMITS
    frames = render_module._read_small(data, 200, limits, lambda: False)
    ends = [*frames.starts[1:], frames.duration_ms]
    return list(frames.images), [e - s for s, e in zip(frames.starts, ends, strict=True)]


def _encoded(images: list[Image.Image], ms: list[int], **options: int) -> int:
    file = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:], "duration": ms} | options
    images[0].save(file, "WEBP", **more)
    return file.tell()


def _since(start: float) -> float:
    return time.perf_counter() - start


def _spread(values: np.ndarray | list[float], digits: int = 0) -> str:
    low, middle, high = np.percentile(values, [5, 50, 95])
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"

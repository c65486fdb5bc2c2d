"""A media file to at most N distinct frames, each with its index and time.

GIF, APNG, MP4 and WebM are decoded by PyAV (its demuxer tells every frame's time
without decoding one, and it is faster than Pillow on GIF); JPEG, PNG and WebP by
Pillow through imageio. Frames are spread evenly in time, not in index, and a frame
that looks like the one before it is dropped, so that a still costs one frame. Of a GIF,
frames that neither are wanted nor shine through in one that is are not decoded.
Everything is bounded before it is decoded; what is over a bound is a MediaError.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Generic, TypeVar

import av
import imageio.v3 as iio
import numpy as np
from PIL import Image, UnidentifiedImageError

from retrieval.catalog import Facts
from retrieval.containers import (
    gif_standalone_frames,
    is_cut_mp4,
    is_only_extensions,
    is_stream,
    webp_delays_ms,
)
from retrieval.errors import MediaError
from retrieval.file_kinds import why_not_regular

SUFFIXES = (".gif", ".webp", ".apng", ".png", ".jpg", ".jpeg", ".mp4", ".webm")
DEFAULT_FRAMES = 8

# Two frames are the same to the eye if no patch of a 32 × 32 thumbnail differs by
# more than this (of 255): above the noise of a recompression (about 4), below a
# blink of one eye in a 128-pixel face (about 30).
SAME_PATCH = 12
THUMBNAIL_SIDE = 32


@dataclass(frozen=True)
class Limits:
    """The bounds of decoding; each names itself in the error."""

    max_bytes: int = 64_000_000
    max_pixels: int = 16_000_000  # width × height of one frame
    max_frames: int = 3_000
    max_duration_ms: int = 120_000

    def allow(self, facts: Facts) -> bool:
        """Whether a file that was decoded once is within the bounds."""
        return (
            facts.width * facts.height <= self.max_pixels
            and facts.n_frames <= self.max_frames
            and facts.duration_ms <= self.max_duration_ms
        )


# Of a file that was indexed, and so was within some bounds.
UNBOUNDED = Limits(sys.maxsize, sys.maxsize, sys.maxsize, sys.maxsize)

T = TypeVar("T")
Convert = Callable[[Image.Image], T]
# Frames with these indices (ascending), RGB on white.
Decode = Callable[[Sequence[int]], Iterator[Image.Image]]


@dataclass(frozen=True)
class Frame(Generic[T]):
    """One decoded frame: RGB, transparent pixels on white, or what was made of it."""

    index: int
    time_ms: int
    image: T


@dataclass(frozen=True)
class Media(Generic[T]):
    """A decoded file: its chosen frames, and what is true of the whole of it."""

    frames: tuple[Frame[T], ...]
    n_frames: int
    duration_ms: int  # 0 for a still
    width: int
    height: int


def read_media(
    source: Path | bytes, n: int = DEFAULT_FRAMES, limits: Limits | None = None
) -> Media[Image.Image]:
    """The file's at most `n` distinct frames, in order of time.

    MediaError (without the path, which the caller knows) if it is over a bound,
    damaged, or no picture. ValueError if `n` is below 1.
    """
    return convert_media(source, lambda image: image, n, limits)


def convert_media(
    source: Path | bytes, convert: Convert[T], n: int = DEFAULT_FRAMES, limits: Limits | None = None
) -> Media[T]:
    """`read_media` with each frame converted as soon as it is decoded.

    At most one frame is in memory at its full size, however many are chosen.
    """
    if n < 1:
        raise ValueError(f"n is {n}; expected at least 1 frame")
    limits = limits or Limits()
    data = read_bytes(source, limits)
    with _named_errors(limits), _opened(data, limits) as (starts, duration_ms, decode):
        wanted = spread(starts, duration_ms, n)
        frames: list[Frame[T]] = []
        size, last = (0, 0), None
        for index, image in zip(wanted, decode(wanted), strict=True):
            size = size if frames else image.size
            thumbnail = _thumbnail(image)
            if last is None or np.abs(thumbnail - last).max() > SAME_PATCH:
                frames.append(Frame(index, starts[index], convert(image)))
                last = thumbnail
        return Media(tuple(frames), len(starts), duration_ms, *size)


@contextmanager
def _named_errors(limits: Limits) -> Iterator[None]:
    """Whatever the decoders raise, as a MediaError that says what is wrong."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError(f"max_pixels is {limits.max_pixels:,} ({_reason(error)})") from error
    except UnidentifiedImageError as error:
        raise MediaError(
            "no picture that can be read; expected GIF, WebP, APNG, JPEG, PNG, MP4 or WebM"
        ) from error
    except (av.FFmpegError, OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
        raise MediaError(f"damaged or incomplete ({_reason(error)})") from error


def read_bytes(source: Path | bytes, limits: Limits | None = None) -> bytes:
    """The file's bytes; MediaError if it is empty, over `max_bytes`, or cannot be read."""
    limits = limits or Limits()
    if isinstance(source, bytes):
        size = len(source)
    else:
        try:
            facts = source.stat()
        except OSError as error:
            raise MediaError(f"cannot be opened ({_reason(error)})") from error
        if reason := why_not_regular(facts.st_mode):
            raise MediaError(reason)
        size = facts.st_size
    if size == 0:
        raise MediaError("empty file")
    _check("max_bytes", size, limits.max_bytes)
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot be opened ({_reason(error)})") from error


def _check(bound: str, value: int, limit: int) -> None:
    if value > limit:
        raise MediaError(f"{bound} is {limit:,}, this has {value:,}")


def _reason(error: BaseException) -> str:
    """The error's first line, without the number and the file name that an OSError adds."""
    text = getattr(error, "strerror", None) or str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]


def read_frames(source: Path | bytes, indices: Sequence[int]) -> list[Image.Image]:
    """The frames with these indices (ascending), RGB on white, for showing them again.

    MediaError if one of them cannot be decoded.
    """
    data = read_bytes(source, UNBOUNDED)
    with _named_errors(UNBOUNDED), _opened(data, UNBOUNDED) as (_, _, decode):
        return list(decode(indices))


def _opened(data: bytes, limits: Limits) -> AbstractContextManager[tuple[list[int], int, Decode]]:
    """(start of each frame in ms from 0, duration in ms, how to decode), nothing decoded yet."""
    return _opened_stream(data, limits) if is_stream(data) else _opened_picture(data, limits)


@contextmanager
def _opened_stream(data: bytes, limits: Limits) -> Iterator[tuple[list[int], int, Decode]]:
    """A GIF, APNG, MP4 or WebM; opened and demuxed once.

    ffmpeg's GIF demuxer shows a frame without a delay for 100 ms, as browsers do.
    """
    is_gif = data[:3] == b"GIF"
    standalone = gif_standalone_frames(data) if is_gif else []
    if is_cut_mp4(data):
        raise EOFError("the file ends in the middle of a frame")
    # ffmpeg would decode some frames of a GIF, 8 ms at 480 × 270, to learn what its header says
    options = {"probesize": "32"} if is_gif else {}
    with av.open(io.BytesIO(data), "r", options=options) as container:
        if not container.streams.video:
            raise MediaError("no pictures in it, only sound")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise MediaError("a film in a codec that is not known here")
        pixels = stream.codec_context.width * stream.codec_context.height
        _check("max_pixels", pixels, limits.max_pixels)
        packets, spans = [], []
        for packet in container.demux(stream):
            if is_gif and is_only_extensions(memoryview(packet)):
                continue  # what stands behind a GIF's last frame comes as a packet of its own
            packets.append(packet)
            # an MP4 cut without re-encoding keeps frames that are not to be shown
            if packet.size and packet.pts is not None and not packet.is_discard:
                spans.append((packet.pts, packet.duration or 0))
                _check("max_frames", len(spans), limits.max_frames)
        if not spans:
            raise MediaError("no frames in it")
        to_ms = 1000 * float(stream.time_base or 1)
        spans.sort()  # films store frames in decoding order
        first = spans[0][0]
        starts = [round((pts - first) * to_ms) for pts, _ in spans]
        duration_ms = round((spans[-1][0] - first + spans[-1][1]) * to_ms)
        _check("max_duration_ms", duration_ms, limits.max_duration_ms)
        if len(standalone) != len(spans):
            standalone = []
        decode = partial(_decode_packets, stream, packets, standalone)
        yield starts, duration_ms if len(starts) > 1 else 0, decode


def _decode_packets(
    stream: av.VideoStream,
    packets: Sequence[av.Packet],
    standalone: Sequence[bool],
    indices: Sequence[int],
) -> Iterator[Image.Image]:
    """Decoded frames; where it is known of each packet whether it stands alone, only what
    is needed is decoded."""
    wanted = set(indices)
    needed = needed_frames(indices, standalone) if standalone else range(len(packets))
    index = 0  # of the frame that comes next
    for number, packet in enumerate(packets):
        if number not in needed:
            index += 1
            continue
        for decoded in stream.decode(packet):
            if index in wanted:
                image = _rgb(decoded)
                if decoded.rotation:  # a film from a phone that was held upright
                    image = image.rotate(decoded.rotation, expand=True)
                yield image
                wanted.discard(index)
                if not wanted:
                    return
            index += 1
    raise MediaError(f"damaged or incomplete (frame {min(wanted)} is missing)")


def needed_frames(indices: Sequence[int], standalone: Sequence[bool]) -> set[int]:
    """What to decode for the frames with these indices: what they are drawn upon, too.

    The first frame always: the palette comes with it.

    >>> sorted(needed_frames([4, 8], [True, False, False, True, False, True, True, False, False]))
    [0, 3, 4, 6, 7, 8]
    """
    needed = {0}
    for index in indices:
        while index not in needed and index < len(standalone):
            needed.add(index)
            if standalone[index]:
                break
            index -= 1
    return needed


def _rgb(decoded: av.VideoFrame) -> Image.Image:
    """A decoded frame in RGB on white; 2 ms less for a GIF frame than by way of RGBA."""
    if decoded.format.name == "bgra":  # GIF
        pixels = decoded.to_ndarray()
        if (pixels[..., 3] == 255).all():
            return Image.fromarray(np.ascontiguousarray(pixels[..., 2::-1]))
    elif decoded.format.name.startswith(("yuv4", "yuvj", "rgb24")):  # film, no alpha
        return Image.fromarray(decoded.to_ndarray(format="rgb24"))
    return on_white(Image.fromarray(decoded.to_ndarray(format="rgba")))


@contextmanager
def _opened_picture(data: bytes, limits: Limits) -> Iterator[tuple[list[int], int, Decode]]:
    """A JPEG, PNG or WebP."""
    with Image.open(io.BytesIO(data)) as header:
        width, height = header.size
        count = getattr(header, "n_frames", 1) if header.format == "WEBP" else 1
        # Pillow's own conversion to RGBA clips 16-bit grey to white
        mode = None if header.mode.startswith("I;16") else "RGBA"
    _check("max_pixels", width * height, limits.max_pixels)
    _check("max_frames", count, limits.max_frames)
    delays_ms = webp_delays_ms(data) if count > 1 else [0]
    if len(delays_ms) != count:
        raise MediaError(f"damaged or incomplete ({len(delays_ms)} of {count} frames have a time)")
    *starts, duration_ms = accumulate(delays_ms, initial=0)
    _check("max_duration_ms", duration_ms, limits.max_duration_ms)

    def decode(indices: Sequence[int]) -> Iterator[Image.Image]:
        with iio.imopen(io.BytesIO(data), "r", plugin="pillow") as file:
            for index in indices:
                # imageio.v3 types only what all its plugins take; these two are Pillow's
                pixels = file.read(index=index, mode=mode, rotate=True)  # type: ignore[call-arg]
                if pixels.dtype == np.uint16:
                    pixels = (pixels >> 8).astype(np.uint8)
                yield on_white(Image.fromarray(pixels))

    yield starts, duration_ms, decode


def spread(starts: list[int], duration_ms: int, n: int) -> list[int]:
    """Indices of the frames on screen at the middles of `n` equal parts of the time.

    >>> spread([0, 900, 1000, 1100], duration_ms=1200, n=2)
    [0, 1]
    >>> spread([0], duration_ms=0, n=8)
    [0]
    """
    moments = (np.arange(n) + 0.5) * duration_ms / n
    shown = np.searchsorted(np.asarray(starts), moments, side="right") - 1
    return sorted(set(shown.clip(0, len(starts) - 1).tolist()))


def _thumbnail(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((THUMBNAIL_SIDE,) * 2, Image.Resampling.BOX), np.int16)


def on_white(image: Image.Image) -> Image.Image:
    """The picture in RGB, its transparent pixels on white."""
    if image.mode != "RGBA":
        image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")

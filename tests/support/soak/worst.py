"""The worst files: legal ones that cost most within the limits, headers that promise too much.

Most are over a limit and refused at once; those called "just legal" are as large as the limits let
them be, so that they are decoded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache

from PIL import Image

from tests import hostile_media as hostile
from tests.support.soak.seeds import film, picture

SUFFIXES = {
    **{"GIF": ".gif", "WebP": ".webp", "APNG": ".png", "PNG": ".png"},
    **{"JPEG": ".jpg", "WebM": ".webm", "MP4": ".mp4"},
}
Make = Callable[[], bytes]


def worst_files() -> Mapping[str, bytes]:
    """Every bomb by name. Each is made once."""
    return {name: _made(name) for name in MAKERS}


@cache
def _made(name: str) -> bytes:
    return MAKERS[name]()


def suffix_of(name: str) -> str:
    """The suffix of a bomb's format, which its name says."""
    return next(suffix for kind, suffix in SUFFIXES.items() if kind in name)


def _vp9(n_frames: int, side: int) -> bytes:
    frame = bytes(hostile.encoded("libvpx-vp9", side)[0])
    return hostile.muxed("libvpx-vp9", "webm", side, [frame] * n_frames)


def _h264(n_frames: int, side: int, claimed: int | None = None) -> bytes:
    frame = bytes(hostile.encoded("libx264", side, preset="ultrafast")[0])
    return hostile.muxed("libx264", "mp4", claimed or side, [frame] * n_frames, preset="ultrafast")


def _dense_gif(side: int, n_frames: int) -> bytes:
    """Whole frames of noise, which LZW cannot make short."""
    pixels = Image.effect_noise((side, side), 90)
    more = [pixels.rotate(90 * (number % 4)) for number in range(1, n_frames)]
    return hostile.saved(pixels, "GIF", save_all=True, append_images=more, duration=50)


def _gif_header() -> bytes:
    data = bytearray(hostile.tiny_frames_gif(16, 3))
    data[6:10] = struct.pack("<2H", 65_535, 65_535)
    return bytes(data)


def _png_header(kind: str) -> bytes:
    """A PNG that claims 2³¹ − 1 pixels a side, or text that unpacks to a gigabyte."""
    side = 2**31 - 1 if kind == "sides" else 8
    chunks = [hostile.png_chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0))]
    if kind == "text":
        chunks.append(hostile.png_chunk(b"zTXt", b"k\0\0" + _packed_zeros(1_024)))
    pixels = zlib.compress(bytes(25 * 8)) if side == 8 else _packed_zeros(64)
    chunks += [hostile.png_chunk(b"IDAT", pixels), hostile.png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _packed_zeros(n_mb: int) -> bytes:
    """Zeros in zlib's format, of a block that is packed once: a full flush makes it repeatable."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    adler = ((n_mb * 2**20) % 65_521) << 16 | 1
    return b"\x78\xda" + n_mb * block + packer.flush() + struct.pack(">I", adler)


def _png_unpacks_to_much() -> bytes:
    """Just within max_pixels, and pixels that unpack to many times what the header needs."""
    side = 3_999
    header = hostile.png_chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 6, 0, 0, 1))
    ends = [hostile.png_chunk(b"IDAT", _packed_zeros(2_000)), hostile.png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(ends)


def _apng_claims_frames() -> bytes:
    data = hostile.many_frames_apng(16, 2)
    at = data.index(b"acTL")
    body = struct.pack(">2I", 2**31 - 1, 0)
    chunk = hostile.png_chunk(b"acTL", body)
    return data[: at - 4] + chunk + data[at + 16 :]


def _jpeg_header() -> bytes:
    data = bytearray(hostile.saved(picture(0), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">2H", 65_500, 65_500)
    return bytes(data)


def _webp_header() -> bytes:
    data = bytearray(hostile.many_frames_webp(16, 2))
    at = data.index(b"VP8X")
    data[at + 12 : at + 18] = b"\xff\x3f\x00\xff\x3f\x00"  # 16,384 × 16,384
    return bytes(data)


def _mp4_claims_samples() -> bytes:
    data = bytearray(film([picture(i) for i in range(4)], "libx264", "mp4"))
    table = data.index(b"stsz")
    data[table + 8 : table + 16] = struct.pack(">2I", 1, 0xFFFFFFF0)
    return bytes(data)


def _ebml_length() -> bytes:
    """A WebM whose first cluster claims nearly 2⁵⁶ bytes."""
    data = film([picture(i) for i in range(4)], "libvpx", "webm")
    at = data.index(b"\x1f\x43\xb6\x75") + 4
    return data[:at] + b"\x01" + b"\xff" * 6 + b"\xfe" + data[at + 1 :]


MAKERS: Mapping[str, Make] = {
    "GIF, 3,000 tiny frames on 4,000²": lambda: hostile.tiny_frames_gif(4_000, 3_000),
    "GIF, 300 whole frames of 4,000²": lambda: hostile.full_frames_gif(4_000, 300),
    "GIF, just legal: 249 whole frames of 4,000²": lambda: hostile.full_frames_gif(4_000, 249),
    "GIF, just legal: 2,990 tiny frames on 1,150²": lambda: hostile.tiny_frames_gif(1_150, 2_990),
    "GIF, just legal: 12 frames of noise of 2,000²": lambda: _dense_gif(2_000, 12),
    "WebP, 3,000 frames of 4,000²": lambda: hostile.many_frames_webp(4_000, 3_000),
    "WebP, just legal: 249 frames of 4,000²": lambda: hostile.many_frames_webp(4_000, 249),
    "WebP, just legal, lossy": lambda: hostile.many_frames_webp(4_000, 249, lossless=False),
    "APNG, just legal: 249 frames of 4,000²": lambda: hostile.many_frames_apng(4_000, 249),
    "JPEG, 60,000 scans": lambda: hostile.many_scans_jpeg(64, 60_000),
    "JPEG, just legal: 100 scans of 4,000²": lambda: hostile.many_scans_jpeg(4_000, 100),
    "PNG, just legal: 16 MP of 32 bits": lambda: hostile.saved(
        Image.new("RGBA", (4_000, 4_000), (9, 99, 199, 100)), "PNG"
    ),
    "WebM, VP9, just legal: 990 frames of 2,000²": lambda: _vp9(990, 2_000),
    "MP4, H.264, just legal: 990 frames of 2,000²": lambda: _h264(990, 2_000),
    "MP4, H.264, frames larger than the header says": lambda: _h264(4, 4_000, claimed=64),
    "header: GIF of 65,535²": _gif_header,
    "header: PNG of (2³¹−1)²": lambda: _png_header("sides"),
    "header: PNG text that unpacks to 1 GB": lambda: _png_header("text"),
    "header: PNG pixels that unpack to 2 GB": _png_unpacks_to_much,
    "header: APNG of 2³¹−1 frames": _apng_claims_frames,
    "header: JPEG of 65,500²": _jpeg_header,
    "header: WebP canvas of 16,384²": _webp_header,
    "header: MP4 of 2³² samples": _mp4_claims_samples,
    "header: WebM cluster of 2⁵⁶ bytes": _ebml_length,
}

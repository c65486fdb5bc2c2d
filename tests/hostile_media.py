"""Small legal files that are expensive to decode, and files that are not what they say."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from typing import Any

import av
import numpy as np
from PIL import Image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiny_frames_gif(side: int, n_frames: int) -> bytes:
    """A GIF of `side` × `side` pixels whose frames change one pixel each: 23 bytes a frame."""
    header = b"GIF89a" + struct.pack("<2H3B", side, side, 0x80, 0, 0) + bytes([0] * 3 + [255] * 3)
    control = b"\x21\xf9\x04\x05\x02\x00\x00\x00"  # transparent, kept for the next
    frame = control + b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    return header + n_frames * frame + b";"


def full_frames_gif(side: int, n_frames: int, opaque: bool = False) -> bytes:
    """A GIF whose frames all cover the picture; each is drawn on the ones before, or `opaque`."""
    one = saved(Image.new("P", (side, side), 1), "GIF", optimize=False)
    palette_end = 13 + 3 * 2 ** ((one[10] & 7) + 1)
    start = one.index(b"\x2c", palette_end)
    control = bytes([0x21, 0xF9, 4, 4 if opaque else 5, 2, 0, 0, 0])
    frame = control + one[start:-1]
    return one[:palette_end] + n_frames * frame + b";"


def many_frames_webp(side: int, n_frames: int, lossless: bool = True) -> bytes:
    """An animated WebP whose frames all cover the picture."""
    pictures = [Image.new("RGB", (side, side), (shade, 0, 0)) for shade in (0, 250)]
    file = io.BytesIO()
    options = {"save_all": True, "append_images": pictures[1:], "lossless": lossless}
    pictures[0].save(file, "WEBP", duration=20, method=0, **options)
    data = file.getvalue()
    start = data.index(b"ANMF")
    size = 8 + int.from_bytes(data[start + 4 : start + 8], "little")
    body = data[12:start] + n_frames * data[start : start + size]
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def many_frames_apng(side: int, n_frames: int) -> bytes:
    """An APNG whose frames all cover the picture."""
    pixels = zlib.compress((b"\0" + bytes(side)) * side, 1)
    chunks = [
        png_chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)),
        png_chunk(b"acTL", struct.pack(">2I", n_frames, 0)),
    ]
    sequence = 0
    for number in range(n_frames):
        box = struct.pack(">5I2H2B", sequence, side, side, 0, 0, 2, 100, 0, 0)
        chunks.append(png_chunk(b"fcTL", box))
        sequence += 1
        if number:
            chunks.append(png_chunk(b"fdAT", struct.pack(">I", sequence) + pixels))
            sequence += 1
        else:
            chunks.append(png_chunk(b"IDAT", pixels))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + png_chunk(b"IEND", b"")


def many_scans_jpeg(side: int, n_scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = saved(Image.new("RGB", (side, side), (200, 30, 30)), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + (n_scans - data[:start].count(b"\xff\xda")) * data[start:-2] + data[-2:]


def png_without_palette() -> bytes:
    """A PNG whose pixels stand for colours of a palette that is not there: 69 bytes."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">2I5B", 8, 8, 8, 3, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(bytes(72)))
        + png_chunk(b"IEND", b"")
    )


def encoded(codec: str, side: int, count: int = 1, **options: str) -> list[av.Packet]:
    """Packets of plain pictures, each of which can be decoded by itself."""
    context = av.VideoCodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width = context.height = side
    context.pix_fmt, context.time_base, context.options = "yuv420p", Fraction(1, 50), options
    context.gop_size = 1
    frame = av.VideoFrame.from_ndarray(np.full((side * 3 // 2, side), 99, np.uint8), "yuv420p")
    packets: list[av.Packet] = []
    for number in range(count):
        frame.pts = number
        packets += context.encode(frame)
    return packets + context.encode()


def muxed(
    codec: str, kind: str, side: int, frames: list[bytes], fps: int = 50, **options: str
) -> bytes:
    """A film of packets as they are, whose header says `side` × `side`."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(frames):
            packet = av.Packet(frame)
            packet.stream = stream
            packet.time_base = Fraction(1, fps)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            container.mux(packet)
    return file.getvalue()

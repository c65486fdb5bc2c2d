"""Media formats and their structure, parsed without decoding a frame.

Decoders are lenient: they decode a truncated file as if it were complete, or report a
frame's time only once it is decoded. Walking the containers' length fields answers both.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

# Segments of a JPEG, chunks of a PNG, boxes of an MP4: a good file has a few thousand, and a bad
# one of millions of empty ones keeps Pillow, and the walks below, busy for half a minute.
MAX_PARTS = 100_000


def media_suffix(data: bytes) -> str:
    """File suffix of the format that the first bytes identify; "" if it is unsupported.

    >>> media_suffix(b"GIF89a"), media_suffix(b"<!doctype html>")
    ('.gif', '')
    """
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return ".gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return ".apng" if b"acTL" in data[:200] else ".png"
    if data[:3] == b"\xff\xd8\xff":
        return ".jpg"
    if data[4:8] == b"ftyp":
        return ".mp4"
    return ".webm" if data[:4] == b"\x1a\x45\xdf\xa3" else ""


def _mp4_boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, where, size in bytes) of the boxes that an MP4 consists of."""
    at, end, count = 0, len(data), 0
    while at + 8 <= end:
        count = _count_part(count)
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0 means: up to the end of the file
            size = end - at
        yield kind, at, size
        at += size


# A table of samples with their number: stsz, stz2 (ISO/IEC 14496-12, 8.7.3), trun (8.8.8).
_SAMPLE_TABLE = re.compile(rb"(?:stsz.{8}|stz2.{8}|trun.{4})(.{4})", re.DOTALL)


def count_mp4_samples(data: bytes) -> int:
    """How many samples the tables of an MP4 claim in all its tracks; 0 for other files.

    A table may claim four thousand million in twenty bytes. Whatever looks like one counts,
    unless it stands in the media themselves. EOFError for a file that ends inside these, which
    ffmpeg does not report, and for a compressed header, which no program writes any more.
    """
    if data[4:8] != b"ftyp":
        return 0
    total = 0
    for kind, at, size in _mp4_boxes(data):
        if kind == b"mdat":
            if at + size > len(data):
                raise EOFError("the file ends in the middle of a frame")
        else:
            if data.find(b"cmov", at, at + size) >= 0:
                raise EOFError("a compressed header")
            tables = _SAMPLE_TABLE.finditer(data, at, at + size)
            total += sum(int.from_bytes(table[1], "big") for table in tables)
    return total


def count_units(codec: str, extradata: bytes, packet: bytes | memoryview) -> int:
    """How often a decoder goes over the picture for one packet of a film, at most.

    Once for each NAL unit of H.264 and HEVC (ISO/IEC 14496-15), for each frame of AV1
    (section 5.3 of its specification). A packet of VP8 or VP9 holds 8 frames at most; those
    of the other codecs are not looked into.
    """
    if codec in ("h264", "hevc"):
        count = bytes(packet).count(b"\0\0\1")  # of units that are told apart by start codes
        size_at = 4 if codec == "h264" else 21
        if len(extradata) > size_at and extradata[0] == 1:
            count = max(count, _count_nal_units(packet, 1 + (extradata[size_at] & 3)))
        return count
    return _count_av1_frames(packet) if codec in ("libdav1d", "av1") else 1


def _count_nal_units(packet: bytes | memoryview, size_bytes: int) -> int:
    """
    >>> _count_nal_units(bytes([0, 1, 9, 0, 2, 9, 9]), 2)
    2
    """
    count = at = 0
    while at + size_bytes < len(packet):
        at += size_bytes + int.from_bytes(packet[at : at + size_bytes], "big")
        count += 1
    return count


def _count_av1_frames(packet: bytes | memoryview) -> int:
    """Open bitstream units that are a frame (6), or the header of one (3).

    >>> _count_av1_frames(bytes([0x12, 0, 0x32, 2, 9, 9, 0x30, 9]))
    2
    """
    count = at = 0
    while at < len(packet):
        header = packet[at]
        at += 2 if header & 4 else 1
        size = len(packet) - at
        if header & 2:
            size = shift = 0
            while at < len(packet):
                byte = packet[at]
                size |= (byte & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if byte < 0x80 or shift == 56:
                    break
        at += size
        count += header >> 3 & 15 in (3, 6)
    return count


# A marker of a JPEG: not a byte of 0xFF in the picture's data, nor one that marks a restart.
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)


def count_jpeg_scans(data: bytes) -> int:
    """How often a decoder goes over the picture (ITU-T T.81, B.1.1); ValueError as below."""
    count = parts = at = 0
    while marker := _JPEG_MARKER.search(data, at):
        parts = _count_part(parts)
        at, kind = marker.end(), marker[1][0]
        if kind == 0xD9:  # the end; what phones append are other pictures
            break
        if kind != 0xD8:
            count += kind == 0xDA
            at += int.from_bytes(data[at : at + 2], "big")
    return count


def check_png_chunks(data: bytes) -> None:
    """ValueError if a PNG has more chunks than MAX_PARTS."""
    at, count = 8, 0
    while at + 12 <= len(data):
        count = _count_part(count)
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _count_part(count: int) -> int:
    if count == MAX_PARTS:
        raise ValueError(f"more than {MAX_PARTS:,} parts")
    return count + 1


def gif_standalone_frames(data: bytes, most: int = sys.maxsize) -> list[bool]:
    """For each frame of a GIF, whether it can be decoded without the frames before it.

    Such a frame covers the whole picture, has no transparent colour, and leaves nothing
    of what was before to come back (disposal 3); without a control extension of its own
    it is not counted on. The walk ends after `most` frames. EOFError if the file ends
    inside a frame, which ffmpeg shows as if it were whole; one that lacks only its trailer
    has all its frames.
    """
    whole = bytes(4) + data[6:10]  # left, top, width, height
    standalone: list[bool] = []
    opaque = False
    try:
        at = 13 + _gif_palette_bytes(data[10])
        while at < len(data) and data[at] in b"\x21\x2c":  # an extension, a frame
            if len(standalone) == most:
                break
            if data[at] == 0x21:
                if data[at + 1] == 0xF9:
                    opaque = not data[at + 3] & 1 and data[at + 3] >> 2 & 7 != 3
                at += 2
            else:
                standalone.append(opaque and data[at + 1 : at + 9] == whole)
                opaque = False
                at += 11 + _gif_palette_bytes(data[at + 9])
            while data[at]:
                at += 1 + data[at]
            at += 1
    except IndexError as error:
        raise EOFError("the file ends in the middle of a frame") from error
    return standalone


def is_only_extensions(packet: bytes | memoryview) -> bool:
    """True for a GIF's extension blocks with no frame after them, such as a closing comment.

    >>> is_only_extensions(bytes.fromhex("21fe02686900"))
    True
    >>> is_only_extensions(bytes.fromhex("21f90161002c"))
    False
    """
    at = 0
    while at < len(packet) and packet[at] == 0x21:
        at += 2
        while at < len(packet) and packet[at]:
            at += 1 + packet[at]
        at += 1
    return at > 0 and packet[at : at + 1] != b"\x2c"


def _gif_palette_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def webp_delays_ms(data: bytes) -> list[int]:
    """How long each frame shows; 100 ms for one without a delay, as browsers do.

    From the ANMF chunks, for Pillow tells it only once a frame is decoded:
    https://developers.google.com/speed/webp/docs/riff_container#animation
    """
    delays_ms, at = [], 12
    while at + 8 <= len(data):
        if data[at : at + 4] == b"ANMF":
            delays_ms.append(int.from_bytes(data[at + 20 : at + 23], "little") or 100)
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return delays_ms


_GIF_LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01"


def loop_count(data: bytes) -> int:
    """How often an animation plays; 0 for without end, as films do here.

    A GIF without the extension plays once; with it, as browsers do, once more than it says:
    https://www.vurdalakov.net/misc/gif/netscape-looping-application-extension

    >>> loop_count(b"GIF89a" + _GIF_LOOP + bytes(3)), loop_count(b"GIF89a")
    (0, 1)
    """
    suffix = media_suffix(data)
    start = {".gif": _GIF_LOOP, ".webp": b"ANIM", ".apng": b"acTL"}.get(suffix)
    at = data.find(start) if start else -1
    if at < 0:
        return 1 if suffix == ".gif" else 0
    at += len(start or b"")
    if suffix == ".apng":  # after its length and kind, the number of frames
        return min(int.from_bytes(data[at + 4 : at + 8], "big"), 65535)
    if suffix == ".webp":  # after its size, the background
        return int.from_bytes(data[at + 8 : at + 10], "little")
    repeats = int.from_bytes(data[at : at + 2], "little")
    return min(repeats + 1, 65535) if repeats else 0

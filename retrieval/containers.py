"""What the bytes of a media file say without decoding a frame.

Decoders are lenient: they show what is left of a file that was cut, as if it were
whole, or tell a frame's time only once it is decoded. These few walks over the
containers' own lengths answer both.
"""

from __future__ import annotations


def is_stream(data: bytes) -> bool:
    """True for what PyAV decodes: GIF, APNG, MP4 (ISO media) and WebM (Matroska)."""
    return (
        data[:6] in (b"GIF87a", b"GIF89a")
        or (data[:8] == b"\x89PNG\r\n\x1a\n" and b"acTL" in data[:200])
        or data[4:8] == b"ftyp"
        or data[:4] == b"\x1a\x45\xdf\xa3"
    )


def media_suffix(data: bytes) -> str:
    """The suffix of what the first bytes are: ".gif", ".png" … ; "" if no media of ours.

    >>> media_suffix(b"GIF89a"), media_suffix(b"<!doctype html>")
    ('.gif', '')
    """
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return ".gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return ".apng" if is_stream(data) else ".png"
    if data[:3] == b"\xff\xd8\xff":
        return ".jpg"
    if data[4:8] == b"ftyp":
        return ".mp4"
    return ".webm" if data[:4] == b"\x1a\x45\xdf\xa3" else ""


def is_cut_mp4(data: bytes) -> bool:
    """True for an MP4 that ends inside its pictures; ffmpeg shows the rest as if whole."""
    if data[4:8] != b"ftyp":
        return False
    at, end = 0, len(data)
    while at + 16 <= end:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if kind == b"mdat" and at + size > end:
            return True
        if size < 8:  # 0 means: up to the end of the file
            break
        at += size
    return False


def gif_standalone_frames(data: bytes) -> list[bool]:
    """For each frame of a GIF, whether it can be decoded without the frames before it.

    Such a frame covers the whole picture, has no transparent colour, and leaves nothing
    of what was before to come back (disposal 3); without a control extension of its own
    it is not counted on. EOFError if the file ends inside a frame, which ffmpeg shows as
    if it were whole; one that lacks only its trailer has all its frames.
    """
    whole = bytes(4) + data[6:10]  # left, top, width, height
    standalone: list[bool] = []
    opaque = False
    try:
        at = 13 + _gif_palette_bytes(data[10])
        while at < len(data) and data[at] in b"\x21\x2c":  # an extension, a frame
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

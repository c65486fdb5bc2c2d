"""Decode media: a file's bytes to the times of its frames, and the frames.

GIF, APNG, MP4 and WebM are decoded by PyAV (its demuxer gives every frame's time without
decoding, and it is faster than Pillow on GIF); JPEG, PNG and WebP by Pillow. GIF frames that
no chosen frame depends on are not decoded.

Both libraries support hundreds of formats, some of which open sockets or run programs. The
first bytes decide which one format and which few codecs they may use.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from retrieval.errors import MediaError, RetrievalError, UnavailableError, reason_of
from retrieval.media.formats import (
    check_png_chunks,
    count_jpeg_scans,
    count_mp4_samples,
    count_units,
    gif_standalone_frames,
    is_only_extensions,
    media_suffix,
    webp_delays_ms,
)
from retrieval.media.limits import Budget, Limits, check
from retrieval.media.pictures import AS_IT_IS, Look, from_frame, from_picture

if TYPE_CHECKING:
    import av

# What the first bytes are → ffmpeg's name of the one demuxer that may read them.
DEMUXERS = {".gif": "gif", ".apng": "apng", ".mp4": "mov", ".webm": "matroska"}
# Decoders that ffmpeg may open: what phones and the web put into these files. No sound.
DECODERS = ("gif", "apng", "h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "h263", "png")
# The same for Pillow; its JPEG plugin hands on to MPO what a phone took as two pictures.
PILLOW_FORMATS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
# A progressive JPEG has about 10; every one goes over the whole picture.
MAX_JPEG_SCANS = 100
# In the tables of an MP4's tracks, sound's too. ffmpeg holds 80 bytes for each from the start,
# and a few bytes can claim millions.
MAX_MP4_SAMPLES = 1_000_000
# Slices, or frames of AV1, in one packet of a film. Few bytes may stand for a slice that covers
# the picture, and a decoder goes through all of a packet before anybody can stop it: 3,000
# slices of 4000 × 4000 in 80 kB take it 6 s. A good film has one, and seldom more than 100.
MAX_UNITS = {"h264": 500, "hevc": 500, "libdav1d": 64, "av1": 64}

NO_PICTURE = "no picture that can be read; expected GIF, WebP, APNG, JPEG, PNG, MP4 or WebM"

# Frames with these indices (ascending).
Decode = Callable[[Sequence[int]], Iterator[Image.Image]]
# Start of each frame in ms from 0, duration in ms, how to decode.
Opened = tuple[list[int], int, Decode]


@contextmanager
def open_media(data: bytes, budget: Budget, look: Look = AS_IT_IS) -> Iterator[Opened]:
    """(start of each frame in ms from 0, duration in ms, how to decode), nothing decoded yet.

    Whatever the decoders raise, here or while they decode, comes as a MediaError. What the
    caller raises inside of the `with` block is not touched.
    """
    limits, is_stream = budget.limits, media_suffix(data) in DEMUXERS

    def decode_with_named_errors(indices: Sequence[int]) -> Iterator[Image.Image]:
        with named_errors(limits):
            for index in indices:
                if not 0 <= index < len(starts):
                    raise MediaError(f"there is no frame {index}; it has {len(starts):,} from 0")
            yield from decode(indices)

    with ExitStack() as stack:
        with named_errors(limits):
            opened = _open_stream if is_stream else _open_picture
            starts, duration_ms, decode = stack.enter_context(opened(data, budget, look))
        yield starts, duration_ms, decode_with_named_errors


@contextmanager
def named_errors(limits: Limits) -> Iterator[None]:
    """Whatever the decoders raise, as a MediaError that says what is wrong.

    A damaged file brings decoders to raise nearly anything, from KeyError to struct.error.
    """
    try:
        yield
    except RetrievalError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError(
            f"max_pixels is {limits.max_pixels:,} ({_decoding_reason(error)})"
        ) from error
    except UnidentifiedImageError as error:
        raise MediaError(NO_PICTURE) from error
    except MemoryError as error:
        raise UnavailableError("decoding it takes more memory than there is now") from error
    except Exception as error:
        raise MediaError(f"damaged or incomplete ({_decoding_reason(error)})") from error


def _decoding_reason(error: BaseException) -> str:
    """The reason in a decoder's error, at most 200 characters.

    >>> _decoding_reason(ValueError("bad length")), _decoding_reason(KeyError(7))
    ('bad length', 'KeyError in the decoder')
    """
    if isinstance(error, (ArithmeticError, AttributeError, LookupError, TypeError)):
        return f"{type(error).__name__} in the decoder"  # its text is for programmers
    return reason_of(error)[:200]


@contextmanager
def _open_stream(data: bytes, budget: Budget, look: Look) -> Iterator[Opened]:
    """A GIF, APNG, MP4 or WebM.

    ffmpeg's GIF demuxer shows a frame without a delay for 100 ms, as browsers do.
    """
    limits = budget.limits
    is_gif = data[:3] == b"GIF"
    standalone = gif_standalone_frames(data, limits.max_frames + 1) if is_gif else []
    check("max_samples", count_mp4_samples(data), MAX_MP4_SAMPLES)
    if not is_gif:
        # ffmpeg decodes some frames of a film as it opens it. So everything is checked
        # before, with a container that has no decoders.
        with _open_container(data, limits, ["none"]) as container:
            _read_packets(container, _video_stream(container, limits), budget)
    with _open_container(data, limits, DECODERS) as container:
        stream = _video_stream(container, limits)
        packets, spans = _read_packets(container, stream, budget)
        to_ms = 1000 * float(stream.time_base or 1)
        spans.sort()  # films store frames in decoding order
        first = spans[0][0]
        starts = [round((pts - first) * to_ms) for pts, _ in spans]
        duration_ms = round((spans[-1][0] - first + spans[-1][1]) * to_ms)
        check("max_duration_ms", max(duration_ms, starts[-1]), limits.max_duration_ms)
        if len(standalone) != len(spans):
            standalone = []
        n_hidden = len(packets) - 1 - len(spans)  # the last packet is an empty one
        decode = partial(_decode_packets, stream, packets, n_hidden, standalone, budget, look)
        yield starts, duration_ms if len(starts) > 1 else 0, decode


def _open_container(
    data: bytes, limits: Limits, decoders: Sequence[str]
) -> av.container.InputContainer:
    demuxer = DEMUXERS[media_suffix(data)]
    options = {"format_whitelist": demuxer, "protocol_whitelist": "none"}  # these bytes alone
    options |= _decoder_options(limits, decoders)
    if demuxer == "gif":
        # ffmpeg would decode some frames, 8 ms at 480 × 270, to learn what its header says
        options["probesize"] = "32"
    import av  # 15 MB that a server needs once it decodes

    return av.open(io.BytesIO(data), "r", format=demuxer, options=options)


def is_silent_h264(data: bytes, limits: Limits) -> bool:
    """Whether an MP4 that `open_media` opens is a film that plays nearly everywhere.

    One track, H.264, 8 bits, 4:2:0.
    """
    with named_errors(limits), _open_container(data, limits, DECODERS) as container:
        if len(container.streams) != 1 or not container.streams.video:
            return False
        context = container.streams.video[0].codec_context
        return context.name == "h264" and context.pix_fmt in ("yuv420p", "yuvj420p")


def _decoder_options(limits: Limits, decoders: Sequence[str]) -> dict[str, str]:
    """What ffmpeg's decoders refuse by themselves, before they take memory for a frame.

    They pad its sides, so that their bound is wider; `Budget.check` knows the right one.
    """
    max_pixels = min(2 * limits.max_pixels + 2**20, 2**31 - 1)
    return {"codec_whitelist": ",".join(decoders), "max_pixels": str(max_pixels)}


def _video_stream(container: av.container.InputContainer, limits: Limits) -> av.VideoStream:
    """The first stream of pictures that can be decoded."""
    if not container.streams.video:
        raise MediaError("no pictures in it, only sound")
    for stream in container.streams.video:
        context = stream.codec_context
        if context is not None and context.name in DECODERS:
            check("max_pixels", context.width * context.height, limits.max_pixels)
            context.options = _decoder_options(limits, DECODERS)
            # In the calling thread. Files are decoded side by side anyway; threads would each
            # hold frames, and their processor time could not be told from other files'.
            context.thread_count = 1
            return stream
    raise MediaError("a film in a codec that is not known here")


def _read_packets(
    container: av.container.InputContainer, stream: av.VideoStream, budget: Budget
) -> tuple[list[av.Packet[av.VideoStream]], list[tuple[int, int]]]:
    """The stream's packets, and (start, duration) of the displayed frames."""
    context, max_frames = stream.codec_context, budget.limits.max_frames
    is_gif, extradata = container.format.name == "gif", context.extradata or b""
    packets: list[av.Packet[av.VideoStream]] = []
    spans: list[tuple[int, int]] = []
    for packet in container.demux(stream):
        budget.check()
        if is_gif and is_only_extensions(memoryview(packet)):
            continue  # what stands behind a GIF's last frame comes as a packet of its own
        check("max_frames", len(packets), max_frames)  # the last packet is an empty one
        if context.name in MAX_UNITS:
            if packet.has_sidedata("new_extradata"):
                extradata = bytes(packet.get_sidedata("new_extradata"))
            units = count_units(context.name, extradata, memoryview(packet))
            check("max_units", units, MAX_UNITS[context.name])
        packets.append(packet)
        # an MP4 cut without re-encoding keeps frames that are not to be shown
        if packet.size and packet.pts is not None and not packet.is_discard:
            spans.append((packet.pts, packet.duration or 0))
    if not spans:
        raise MediaError("no frames in it")
    return packets, spans


def _decode_packets(
    stream: av.VideoStream,
    packets: Sequence[av.Packet[av.VideoStream]],
    n_hidden: int,
    standalone: Sequence[bool],
    budget: Budget,
    look: Look,
    indices: Sequence[int],
) -> Iterator[Image.Image]:
    """Decode frames. `standalone` tells of each packet whether it is independent (or is empty if
    unknown); only frames that the chosen ones depend on are then decoded."""
    wanted = set(indices)
    needed = needed_frames(indices, standalone) if standalone else range(len(packets))
    n_decoded = len(needed) if standalone else max(indices) + 1 + n_hidden
    pixels = stream.codec_context.width * stream.codec_context.height
    check("max_decoded_pixels", n_decoded * pixels, budget.limits.max_decoded_pixels)
    index = 0  # of the frame that comes next
    for number, packet in enumerate(packets):
        if number not in needed:
            index += 1
            continue
        budget.check()
        for decoded in stream.decode(packet):
            budget.check(decoded.width, decoded.height)
            if index in wanted:
                yield from_frame(decoded, look)
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


@contextmanager
def _open_picture(data: bytes, budget: Budget, look: Look) -> Iterator[Opened]:
    """A JPEG, PNG or WebP."""
    limits, kind = budget.limits, PILLOW_FORMATS.get(media_suffix(data))
    if kind is None:
        raise MediaError(NO_PICTURE)
    scans = count_jpeg_scans(data) if kind == "JPEG" else 1
    check("max_scans", scans, MAX_JPEG_SCANS)
    if kind == "PNG":
        check_png_chunks(data)
    with Image.open(io.BytesIO(data), formats=[kind]) as header:
        width, height = header.size
        count = getattr(header, "n_frames", 1) if kind == "WEBP" else 1
    check("max_pixels", width * height, limits.max_pixels)
    check("max_frames", count, limits.max_frames)
    delays_ms = webp_delays_ms(data) if count > 1 else [0]
    if len(delays_ms) != count:
        raise MediaError(f"damaged or incomplete ({len(delays_ms)} of {count} frames have a time)")
    *starts, duration_ms = accumulate(delays_ms, initial=0)
    check("max_duration_ms", duration_ms, limits.max_duration_ms)

    def decode(indices: Sequence[int]) -> Iterator[Image.Image]:
        n_decoded = max(indices) + 1  # each frame is drawn on the one before
        pixels = width * height * n_decoded * scans
        check("max_decoded_pixels", pixels, limits.max_decoded_pixels)
        with Image.open(io.BytesIO(data), formats=[kind]) as picture:
            for number in range(n_decoded):
                picture.seek(number)
                picture.load()
                budget.check(picture.width, picture.height, scans)
                if picture.mode == "P" and picture.palette is None:  # Pillow would show black
                    raise ValueError("colours of a palette that is missing")
                if number in indices:
                    yield from_picture(picture, look)

    yield starts, duration_ms, decode

"""Encode films: H.264 in MP4, 4:2:0, without sound.

H.264 is what browsers and chat clients have in common: MPEG-4 part 2, VP9 in WebM and AV1 are
each missing from some of them. The encoder is libx264, which lies in PyAV's wheels. It is under
the GPL (2 or later), PyAV itself under BSD: who passes on an image with the wheel in it passes on
libx264, too.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from retrieval.errors import UnavailableError
from retrieval.media.pictures import on_white

ENCODER: Final = "libx264"
# A third fewer bytes than "superfast" for 1.2 times the time; "faster" and "medium" save nothing
# for 1.2 and 1.8 times the time of this one (python -m benchmarks renditions --parameters).
PRESET = "veryfast"
# An MP4 keeps durations in the order of decoding. With frames in another order than they are
# shown in, and of uneven length, the film as a whole would be too long or too short. It costs
# 16 % more bytes.
NO_REORDERING: dict[str, object] = {"bf": "0"}
_MS = Fraction(1, 1000)
_NOMINAL_FPS = 25  # for the encoder's rate control and level only; frames have their own times
_BT709 = 1  # in the stream's header, or players guess the colours by the height


class _File(io.BytesIO):
    name = "film.mp4"  # ffmpeg opens it by name once more, to move the index to the front


def encode_film(
    images: Iterable[Image.Image], starts: Sequence[int], duration_ms: int, quality: int
) -> bytes:
    """An MP4 of pictures of one size, of which each shows from its start (ms from 0) to the next.

    Transparency becomes white, odd sides lose a row or column. `quality` is libx264's constant
    rate factor: 18 is good, 51 the worst. UnavailableError if PyAV was built without the encoder.
    """
    file = _File()

    def open_again(url: str, flags: int, options: object) -> io.BytesIO:
        return file if flags & 2 else io.BytesIO(file.getvalue())  # 2: to write

    shown_ms = dict(zip(starts, _differences([*starts, duration_ms]), strict=True))
    options = {"movflags": "+faststart"}
    with av.open(file, "w", format="mp4", options=options, io_open=open_again) as container:
        stream = _add_stream(container, quality)
        for image, start in zip(images, starts, strict=True):
            frame = _frame(image)
            if start == starts[0]:
                stream.width, stream.height = frame.width, frame.height
            frame.pts, frame.time_base = start, _MS
            _mux(container, stream.encode(frame), shown_ms)
        _mux(container, stream.encode(), shown_ms)
    return file.getvalue()


def _add_stream(container: av.container.OutputContainer, quality: int) -> av.VideoStream:
    try:
        stream = container.add_stream(ENCODER, rate=_NOMINAL_FPS)
    except ValueError as error:
        raise UnavailableError(f"this server has no encoder of H.264 ({ENCODER})") from error
    stream.options = {"crf": str(quality), "preset": PRESET} | NO_REORDERING
    stream.pix_fmt, stream.codec_context.time_base = "yuv420p", _MS
    stream.thread_count = 1
    stream.codec_context.colorspace = stream.codec_context.color_primaries = _BT709
    stream.codec_context.color_trc = _BT709
    stream.codec_context.color_range = ColorRange.MPEG
    return stream


def _frame(image: Image.Image) -> av.VideoFrame:
    width, height = (max(2, side // 2 * 2) for side in image.size)
    image = image if image.mode == "RGB" else on_white(image)
    if 1 in image.size:  # a line gets a second one
        image = image.resize((width, height))
    frame = av.VideoFrame.from_ndarray(np.asarray(image.crop((0, 0, width, height))))
    return frame.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation="AREA",
    )


def _mux(
    container: av.container.OutputContainer,
    packets: Iterable[av.Packet],
    shown_ms: dict[int, int],
) -> None:
    for packet in packets:
        packet.duration = shown_ms[packet.pts or 0]  # the last frame's is known from nothing else
        container.mux(packet)


def _differences(moments: Sequence[int]) -> list[int]:
    """
    >>> _differences([0, 40, 100])
    [40, 60]
    """
    return [end - start for start, end in pairwise(moments)]

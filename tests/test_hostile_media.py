"""Files made to harm: bounds hold for what is decoded, and nothing but our formats is opened."""

from __future__ import annotations

import io
import struct
import threading
import time
from pathlib import Path

import av
import hostile_media as hostile
import numpy as np
import pytest
from conftest import FakeEncoder, save_gif
from PIL import Image

from retrieval.build.build import build_index
from retrieval.errors import MediaError, StoppedError
from retrieval.media.decoders import MAX_JPEG_SCANS, MAX_MP4_SAMPLES
from retrieval.media.formats import count_jpeg_scans, count_mp4_samples
from retrieval.media.frames import convert_media, read_frames, read_media
from retrieval.media.limits import Facts, Limits

FILM_CODECS = {"libx264": "mp4", "libvpx-vp9": "webm", "libvpx": "webm", "mpeg4": "mp4"}


def film(codec: str, *sides: int, repeat: int = 1) -> bytes:
    """A film whose header says the first side, and whose frames have the sides in turn."""
    options = {"preset": "ultrafast"} if codec == "libx264" else {}
    frames = [bytes(hostile.encoded(codec, side, **options)[0]) for side in sides]
    return hostile.muxed(codec, FILM_CODECS[codec], sides[0], frames * repeat, **options)


@pytest.mark.parametrize("codec", FILM_CODECS)
def test_film_with_larger_frames_than_its_header_says_is_refused(codec: str):
    data = film(codec, 64, 512)
    assert read_media(data, limits=Limits(max_pixels=512 * 512)).n_frames == 2
    for max_pixels in (64 * 64, 511 * 512):
        with pytest.raises(MediaError, match=r"damaged|max_pixels is [\d,]+, this has 262,144"):
            read_media(data, limits=Limits(max_pixels=max_pixels))


def test_decoder_takes_no_memory_for_a_frame_far_over_max_pixels():
    with pytest.raises(MediaError, match="damaged"):  # not max_pixels: it never was a frame
        read_media(film("libx264", 64, 2_000), limits=Limits(max_pixels=64 * 64))


def test_film_with_more_decoded_pixels_than_its_header_says_is_refused():
    data = film("libvpx-vp9", 64, 512, repeat=40)
    with pytest.raises(MediaError, match="max_decoded_pixels is 2,000,000, this has 2,"):
        read_media(data, limits=Limits(max_decoded_pixels=2_000_000))


@pytest.mark.parametrize("magic", [b"\x1a\x45\xdf\xa3\n", b"\0\0\0\x14ftyp\n"])
def test_session_description_behind_the_magic_of_a_film_opens_no_socket(magic: bytes):
    sdp = b"v=0\nc=IN IP4 127.0.0.1\nm=video 45678 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    start = time.monotonic()
    with pytest.raises(MediaError, match="damaged or incomplete"):
        read_media(magic + sdp)
    assert time.monotonic() - start < 2  # ffmpeg would wait for packets


def test_film_in_a_codec_of_no_phone_and_no_page_is_not_decoded():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), "yuv420p")
        container.mux([*stream.encode(frame), *stream.encode()])
    with pytest.raises(MediaError, match="a codec that is not known here"):
        read_media(file.getvalue())


def test_film_with_sound_and_with_a_cover_is_still_read():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        video, sound = container.add_stream("libx264", rate=10), container.add_stream("aac", 8_000)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        for number in range(5):
            pixels = np.full((32, 32, 3), 50 * number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels)))
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.float32), "fltp", "mono")
            tone.sample_rate, tone.pts = 8_000, 800 * number
            container.mux(sound.encode(tone))
        container.mux([*video.encode(), *sound.encode()])
    media = read_media(file.getvalue())
    assert (media.n_frames, media.duration_ms, len(media.frames)) == (5, 500, 5)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "ICO", "PCX", "TGA", "EPS", "DDS"])
def test_format_that_is_not_advertised_is_not_opened(kind: str):
    data = hostile.saved(Image.new("RGB", (32, 32), (9, 9, 9)), kind)
    with pytest.raises(MediaError, match="no picture that can be read; expected GIF, WebP"):
        read_media(data)


def test_phone_photo_with_a_second_picture_behind_is_read_as_the_first():
    first, second = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    data = hostile.saved(first, "MPO", save_all=True, append_images=[second])
    media = read_media(data)
    assert media.n_frames == len(media.frames) == 1
    assert media.frames[0].image.getpixel((5, 5)) == (254, 0, 0)
    with pytest.raises(MediaError, match="there is no frame 1; it has 1 from 0"):
        read_frames(data, [1])


def test_palette_png_without_its_palette_is_one_files_reason(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    data = hostile.png_without_palette()
    (library / "b.png").write_bytes(data)
    report = build_index(library, tmp_path / "b", encoder)
    assert report.n_gifs == 4
    assert [(s.path, s.reason) for s in report.skipped] == [
        ("b.png", "damaged or incomplete (colours of a palette that is missing)")
    ]


ESCAPES = (AttributeError, KeyError, TypeError, NotImplementedError, OverflowError, struct.error)


@pytest.mark.parametrize("error", [*ESCAPES, RuntimeError, MemoryError])
def test_whatever_a_decoder_raises_is_a_media_error(error: type[Exception], monkeypatch):
    def fail(*args, **kwargs):
        raise error("of the decoder")

    data = hostile.saved(Image.new("RGB", (8, 8)), "PNG")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(MediaError, match=r"^(damaged or incomplete \(|decoding it takes more mem)"):
        read_media(data)
    monkeypatch.setattr("PIL.Image.open", fail)
    with pytest.raises(MediaError):
        read_media(data)


@pytest.mark.parametrize("error", [KeyError, MemoryError, OSError])
def test_error_of_converting_a_frame_is_no_media_error(error: type[Exception], tmp_path: Path):
    def convert(image: Image.Image) -> None:
        raise error("of the encoder")

    with pytest.raises(error, match="of the encoder"):
        convert_media(save_gif(tmp_path / "a.gif", [(9, 9, 9)]), convert)


def test_interrupt_while_decoding_is_passed_on(monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_media(hostile.saved(Image.new("RGB", (8, 8)), "PNG"))


EXPENSIVE = {
    "tiny GIF frames": lambda: hostile.tiny_frames_gif(4_000, 3_000),
    "whole GIF frames": lambda: hostile.full_frames_gif(4_000, 300),
    "WebP": lambda: hostile.many_frames_webp(4_000, 3_000),
    "APNG": lambda: hostile.many_frames_apng(4_000, 300),
    "VP9": lambda: film("libvpx-vp9", 2_000, repeat=1_500),
}


@pytest.mark.parametrize("kind", EXPENSIVE)
def test_small_legal_file_that_would_decode_for_minutes_is_refused_at_once(kind: str):
    data = EXPENSIVE[kind]()
    last = {"whole GIF frames": 299, "APNG": 299, "VP9": 1_499}.get(kind, 2_999)
    start = time.thread_time()
    with pytest.raises(MediaError, match=r"^max_decoded_pixels is 4,000,000,000, this has \d"):
        read_media(data)
    with pytest.raises(MediaError, match="max_decoded_pixels"):
        read_frames(data, [last])
    assert time.thread_time() - start < 2
    if kind != "tiny GIF frames":
        assert read_frames(data, [1])[0].width >= 2_000  # what needs little is still shown


def test_gif_frames_that_are_not_needed_do_not_count_as_decoded():
    data = hostile.full_frames_gif(16, 100, opaque=True)  # so one needs the first and itself
    assert read_frames(data, [99], Limits(max_decoded_pixels=2 * 16 * 16))
    with pytest.raises(MediaError, match="max_decoded_pixels is 511, this has 512"):
        read_frames(data, [99], Limits(max_decoded_pixels=511))


def test_jpeg_of_many_scans_is_refused():
    most = hostile.many_scans_jpeg(64, MAX_JPEG_SCANS)
    assert count_jpeg_scans(most) == MAX_JPEG_SCANS
    assert read_media(most).n_frames == 1
    start = time.thread_time()
    for n_scans in (MAX_JPEG_SCANS + 1, 60_000):
        with pytest.raises(MediaError, match=f"^max_scans is 100, this has {n_scans:,}$"):
            read_media(hostile.many_scans_jpeg(64, n_scans))
    assert time.thread_time() - start < 2


def test_scans_of_a_thumbnail_and_of_a_second_picture_are_not_counted():
    exif = Image.Exif()
    exif[0x010E] = "\u00ff\u00da".encode("latin-1") * 200  # what looks like scans
    picture = Image.new("RGB", (32, 32), (200, 30, 30))
    assert count_jpeg_scans(hostile.saved(picture, "JPEG", exif=exif)) == 1
    two = hostile.saved(picture, "MPO", save_all=True, append_images=[picture])
    assert count_jpeg_scans(two) == 1


@pytest.mark.parametrize("kind", ["jpeg", "png", "mp4"])
def test_file_of_millions_of_empty_parts_is_refused_at_once(kind: str):
    if kind == "mp4":
        parts, data = b"\0\0\0\x08free", film("libx264", 32)
        at = len(data)
    else:
        parts = b"\xff\xe5\0\x02" if kind == "jpeg" else hostile.png_chunk(b"teSt", b"")
        data = hostile.saved(Image.new("RGB", (8, 8)), kind.upper())
        at = 2 if kind == "jpeg" else 33
    assert read_media(data[:at] + 1_000 * parts + data[at:]).n_frames == 1
    start = time.thread_time()
    with pytest.raises(MediaError, match="more than 100,000 parts"):
        read_media(data[:at] + 2_000_000 * parts + data[at:])
    assert time.thread_time() - start < 1


def test_packet_of_slices_without_end_is_refused_before_it_is_decoded():
    """Each slice of a few bytes goes over the whole picture, in one call of the decoder."""
    side, options = 640, {"preset": "ultrafast", "bf": "0"}
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options=options)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((side * 3 // 2, side), 9, np.uint8), "yuv420p")
        packets = [*stream.encode(frame), *stream.encode(frame), *stream.encode()]
        container.mux(packets[0])
        many = av.Packet(bytes(packets[1]) * 4_000)
        many.stream, many.time_base = stream, packets[1].time_base
        many.pts, many.dts = packets[1].pts, packets[1].dts
        container.mux(many)
    start = time.thread_time()
    with pytest.raises(MediaError, match=r"max_units is 500, this has \d"):
        read_media(file.getvalue())
    assert time.thread_time() - start < 0.5


def test_mp4_that_claims_millions_of_samples_is_refused_before_it_is_opened():
    data = bytearray(film("libx264", 32, repeat=5))
    assert count_mp4_samples(bytes(data)) == 5
    table, chunk = data.index(b"stsz"), data.index(b"stsc")
    data[table + 8 : table + 16] = struct.pack(">2I", 1, 20_000_000)  # of one byte each
    data[chunk + 16 : chunk + 20] = struct.pack(">I", 20_000_000)
    with pytest.raises(MediaError, match=f"max_samples is {MAX_MP4_SAMPLES:,}, this has 20,000"):
        read_media(bytes(data))


def test_decoding_that_takes_too_long_is_ended_between_frames():
    for data in (hostile.many_frames_webp(400, 500), hostile.full_frames_gif(400, 500)):
        start = time.thread_time()
        with pytest.raises(MediaError, match=r"^max_decode_s is 0, this takes longer$"):
            read_media(data, limits=Limits(max_decode_s=0))
        assert time.thread_time() - start < 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: hostile.full_frames_gif(2_000, 900),
        lambda: hostile.many_frames_webp(2_000, 900),
        lambda: hostile.many_frames_apng(2_000, 900),
        lambda: film("libvpx-vp9", 2_000, repeat=900),
    ],
    ids=["gif", "webp", "apng", "webm"],
)
def test_decoding_ends_within_a_second_of_being_stopped(make):
    data, stop = make(), threading.Event()
    for read in (
        lambda: convert_media(data, lambda image: image, stop=stop.is_set),
        lambda: read_frames(data, [899], stop=stop.is_set),
    ):
        stop.clear()
        threading.Timer(0.3, stop.set).start()
        start = time.monotonic()
        with pytest.raises(StoppedError):
            read()
        assert 0.2 < time.monotonic() - start < 0.3 + 1


def test_file_decoded_before_is_allowed_whatever_decoding_it_cost():
    facts = Facts(n_frames=3_000, duration_ms=100_000, width=4_000, height=4_000)
    assert Limits(max_decoded_pixels=1, max_decode_s=0).allow(facts)
    assert not Limits(max_pixels=15_999_999).allow(facts)

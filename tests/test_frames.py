"""Files as people have them, good and bad, to frames. All media are made here."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import zlib
from pathlib import Path

import av
import imageio.v3 as iio
import numpy as np
import pytest
from conftest import BLUE, GREEN, RED, YELLOW, save_gif
from PIL import Image, ImageDraw

from retrieval.errors import MediaError
from retrieval.media.formats import gif_standalone_frames
from retrieval.media.frames import SUFFIXES, read_media
from retrieval.media.limits import Limits
from retrieval.media.pictures import on_white

WHITE, CLEAR = (255, 255, 255), (0, 0, 0, 0)
FOUR = (RED, GREEN, BLUE, YELLOW)


def plain(colours, size=(64, 48)) -> list[Image.Image]:
    return [Image.new("RGBA" if len(c) == 4 else "RGB", size, c) for c in colours]


def save(images: list[Image.Image], kind: str, **options) -> bytes:
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    file = io.BytesIO()
    images[0].save(file, kind, **options)
    return file.getvalue()


def film(images: list[Image.Image], kind: str, fps: int = 10) -> bytes:
    how = {"plugin": "pyav", "codec": {"mp4": "libx264", "webm": "libvpx-vp9"}[kind], "fps": fps}
    return iio.imwrite("<bytes>", [np.asarray(i) for i in images], extension=f".{kind}", **how)


def media_of(kind: str, images: list[Image.Image]) -> bytes:
    """The pictures, each for 100 ms, as the format; a still takes the first only."""
    if kind in ("mp4", "webm"):
        return film(images, kind)
    if kind in ("png", "jpeg"):
        return save(images[:1], kind)
    return save(images, "PNG" if kind == "apng" else kind, duration=100, lossless=True)


def red_left_of_blue() -> Image.Image:
    picture = Image.new("RGB", (64, 32), RED)
    picture.paste(BLUE, (32, 0, 64, 32))
    return picture


def speckles(count: int, side: int = 32) -> list[Image.Image]:
    """Blocks of random colours, different in every picture: they hardly compress."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (count, 8, 8, 3), np.uint8)
    return [Image.fromarray(b).resize((side, side), Image.Resampling.NEAREST) for b in blocks]


def assert_colour(image: Image.Image, expected, at=(5, 5)) -> None:
    assert image.mode == "RGB"
    assert np.abs(np.subtract(image.getpixel(at), expected)).max() <= 3


MOVING = ["gif", "webp", "apng", "mp4", "webm"]


@pytest.mark.parametrize("kind", MOVING)
def test_every_moving_format_gives_index_time_and_colour(kind, tmp_path):
    path = tmp_path / f"four.{kind}"
    path.write_bytes(media_of(kind, plain(FOUR)))
    media = read_media(path, n=50)  # more than there are
    assert (media.n_frames, media.duration_ms, media.width, media.height) == (4, 400, 64, 48)
    assert [(f.index, f.time_ms) for f in media.frames] == [(0, 0), (1, 100), (2, 200), (3, 300)]
    for frame, colour in zip(media.frames, FOUR, strict=True):
        assert_colour(frame.image, colour)
    assert path.suffix in SUFFIXES


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_frames_are_spread_in_time_not_in_index(kind):
    data = save(plain(FOUR), kind, duration=[100, 100, 700, 100])
    media = read_media(data, n=2)  # the middles of two halves: 250 and 750 ms
    assert media.duration_ms == 1000
    assert [(f.index, f.time_ms) for f in media.frames] == [(2, 200)]
    media = read_media(data, n=10)  # a frame every 100 ms, so no frame is missed
    assert [f.time_ms for f in media.frames] == [0, 100, 200, 900]


def test_one_frame_is_the_one_in_the_middle_of_the_time():
    data = save(plain(FOUR), "GIF", duration=[50, 900, 100, 50])
    assert [(f.index, f.time_ms) for f in read_media(data, n=1).frames] == [(1, 50)]
    with pytest.raises(ValueError, match="n is 0; expected at least 1"):
        read_media(data, n=0)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_frames_without_a_delay_show_for_100_ms_as_in_a_browser(kind):
    media = read_media(save(plain(FOUR), kind, duration=0))
    assert [f.time_ms for f in media.frames] == [0, 100, 200, 300]
    assert media.duration_ms == 400


def test_a_still_costs_one_frame_whatever_holds_it():
    one = save([red_left_of_blue()], "GIF", duration=100)
    start = one.index(b"\x21\xf9")  # of the frame; Pillow itself would join equal frames
    ten = one[:start] + 10 * one[start:-1] + b";"
    for data, n_frames in (
        (save([red_left_of_blue()], "PNG"), 1),
        (one, 1),
        (ten, 10),
        (film(speckles(1, side=128) * 10, "mp4"), 10),  # with the noise of compression
    ):
        media = read_media(data)
        assert (media.n_frames, len(media.frames)) == (n_frames, 1)
        assert (media.duration_ms == 0) == (n_frames == 1)


def test_the_blink_of_one_eye_is_a_frame_of_its_own():
    face = Image.new("RGB", (128, 128), (150, 190, 220))
    draw = ImageDraw.Draw(face)
    draw.ellipse((24, 14, 104, 118), fill=(224, 172, 138))
    for left in (44, 76):
        draw.ellipse((left, 49, left + 8, 53), fill="white")
        draw.ellipse((left + 3, 49, left + 5, 53), fill=(90, 60, 45))
    wink = face.copy()
    ImageDraw.Draw(wink).ellipse((44, 49, 52, 53), fill=(224, 172, 138))
    webp = save([face, wink, face], "WEBP", duration=200, quality=80)
    for data in (webp, film([face, wink, face], "mp4", fps=5)):
        assert [f.index for f in read_media(data).frames] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["jpeg", "mp4"])
def test_what_a_phone_took_upright_is_shown_upright(kind):
    if kind == "jpeg":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90° clockwise: what is left comes to the top
        data = save([red_left_of_blue()], "JPEG", exif=exif, quality=95)
    else:
        movie = bytearray(film([red_left_of_blue()] * 3, "mp4"))
        at = movie.index(b"tkhd") + 44  # the display matrix of ISO/IEC 14496-12: the same turn
        movie[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
        data = bytes(movie)
    media = read_media(data)
    assert (media.width, media.height) == media.frames[0].image.size == (32, 64)
    assert_colour(media.frames[0].image, RED, at=(16, 8))
    assert_colour(media.frames[0].image, BLUE, at=(16, 56))


def test_mp4_trimmed_without_reencoding_starts_where_the_trim_says():
    whole, trimmed = film(speckles(30), "mp4"), io.BytesIO()
    with av.open(io.BytesIO(whole)) as source, av.open(trimmed, "w", format="mp4") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        one_second = round(1 / stream.time_base)
        for packet in source.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - one_second, packet.dts - one_second
                packet.stream = copy
                target.mux(packet)
    media = read_media(trimmed.getvalue(), n=4)
    assert (media.n_frames, media.duration_ms) == (20, 2000)
    expected = {f.index: f.image for f in read_media(whole, n=30).frames}
    for frame in media.frames:
        assert frame.image == expected[frame.index + 10]


def test_grey_cmyk_and_16_bit_pictures_keep_their_colours():
    grey, red = (77, 77, 77), (200, 30, 30)
    for data, colour in (
        (save([Image.new("L", (16, 16), 77)], "JPEG"), grey),
        (save([Image.new("RGB", (16, 16), red).convert("CMYK")], "JPEG", quality=95), red),
        (save([Image.fromarray(np.full((16, 16), 77 * 257, np.uint16))], "PNG"), grey),
    ):
        assert_colour(read_media(data).frames[0].image, colour)


def test_transparent_pixels_are_white():
    palette = Image.new("P", (32, 16), 0)
    palette.putpalette([*RED, *GREEN])
    palette.paste(1, (16, 0, 32, 16))
    image = read_media(save([palette], "PNG", transparency=0)).frames[0].image
    assert_colour(image, WHITE, at=(5, 5))
    assert_colour(image, GREEN, at=(20, 5))
    half = read_media(save([Image.new("RGBA", (16, 16), (*RED, 128))], "WEBP", lossless=True))
    assert_colour(half.frames[0].image, (255, 127, 127))


@pytest.mark.parametrize("disposal", [0, 1, 2, 3, [1, 2, 3, 2]], ids=str)
@pytest.mark.parametrize("background", [0, 1])
def test_gif_transparency_and_disposal_look_as_in_pillow(disposal, background):
    steps = plain([CLEAR] * 4, size=(40, 30))
    for i, step in enumerate(steps):
        step.paste(FOUR[i], (5 * i, 5, 5 * i + 12, 20))
    data = save(steps, "GIF", duration=100, disposal=disposal, background=background)
    frames = read_media(data).frames
    assert [f.index for f in frames] == [0, 1, 2, 3]
    with Image.open(io.BytesIO(data)) as expected:
        for frame in frames:
            expected.seek(frame.index)
            assert frame.image == on_white(expected)
    cleared = disposal not in (0, 1)  # the first square is gone, or still there
    assert_colour(frames[3].image, WHITE if cleared else RED, at=(2, 10))


def gif_block(picture: Image.Image, at: tuple[int, int], flags: int | None) -> bytes:
    """One frame of a GIF; `flags` are those of its control extension, None for no extension."""
    one = save([picture], "GIF", optimize=False)
    palette_end = 13 + 3 * 2 ** ((one[10] & 7) + 1)
    start = one.index(b"\x2c", palette_end)
    control = b"" if flags is None else bytes([0x21, 0xF9, 4, flags, 10, 0, 0, 0])
    box = struct.pack("<4H", *at, *picture.size)
    return (
        control
        + b"\x2c"
        + box
        + bytes([0x80 | one[10] & 7])
        + one[13:palette_end]
        + one[start + 10 : -1]
    )


@pytest.mark.parametrize("seed", range(12))
def test_frames_that_are_not_decoded_leave_no_mark_on_those_that_are(seed: int):
    """Whole and partial frames, opaque or not, of every disposal, in any order."""
    rng = random.Random(seed)
    data = save(plain([WHITE], size=(24, 16)), "GIF")[:13]
    data = data[:10] + b"\0" + data[11:]  # no palette for all
    blocks, n_alone = [], 0
    for number in range(30):
        full = number == 0 or rng.random() < 0.6
        size, at = ((24, 16), (0, 0)) if full else ((10, 7), (rng.randrange(14), rng.randrange(9)))
        noise = bytes(rng.randrange(4) for _ in range(size[0] * size[1]))
        picture = Image.frombytes("P", size, noise)
        picture.putpalette([rng.randrange(256) for _ in range(12)])
        clear, disposal = int(rng.random() < 0.3), rng.choice([0, 1, 1, 2, 3])
        n_alone += full and not clear and disposal != 3
        blocks.append(gif_block(picture, at, clear | disposal << 2))
    data += b"".join(blocks) + b";"
    assert sum(gif_standalone_frames(data)) == n_alone > 5
    whole = {frame.index: frame.image for frame in read_media(data, n=30).frames}
    assert len(whole) > 25  # so nearly all of them were decoded, in order
    for n in (1, 3, 7):
        for frame in read_media(data, n=n).frames:
            assert frame.image == whole[frame.index], (n, frame.index)
    assert gif_standalone_frames(data[:13] + gif_block(picture, (0, 0), None) + b";") == [False]


@pytest.mark.parametrize("kind", [*MOVING, "png", "jpeg"])
def test_each_bound_names_itself(kind):
    data = media_of(kind, plain(FOUR))
    bounds = {"max_bytes": len(data), "max_pixels": 64 * 48}
    if kind in MOVING:
        bounds |= {"max_frames": 4, "max_duration_ms": 400}
    assert read_media(data, limits=Limits(**bounds)).frames  # at the bound is within it
    for bound, value in bounds.items():
        with pytest.raises(MediaError, match=rf"^{bound} is {value - 1:,}, this has \d"):
            read_media(data, limits=Limits(**{bound: value - 1}))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 14_000])  # Pillow warns of one, refuses the other
def test_a_decompression_bomb_is_over_max_pixels(side):
    header = bytearray(save([Image.new("1", (8, 8))], "PNG"))
    header[16:24] = struct.pack(">2I", side, side)
    header[29:33] = struct.pack(">I", zlib.crc32(header[12:29]))
    with pytest.raises(MediaError, match="max_pixels is 16,000,000"):
        read_media(bytes(header))


def test_what_is_no_picture_says_so_without_the_path(tmp_path):
    (tmp_path / "empty.gif").touch()
    (tmp_path / "letter.gif").write_text("Dear reader, this is no picture. " * 20)
    for name, reason in {
        "empty.gif": "empty file",
        "letter.gif": "no picture that can be read; expected GIF, WebP",
        "missing.gif": "cannot be opened .No such file",
        ".": "a folder; expected a regular file",
    }.items():
        with pytest.raises(MediaError, match=f"^{reason}") as caught:
            read_media(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("kind", ["gif", "webp", "apng", "png", "jpeg", "mp4"])
def test_a_cut_file_is_refused_and_never_shows_half_a_frame(kind):
    data = media_of(kind, speckles(3))
    whole = {f.index: f.image for f in read_media(data).frames}
    for end in range(1, len(data), 7):
        with contextlib.suppress(MediaError):  # a cut after the last pixel may go unnoticed
            for frame in read_media(data[:end]).frames:
                assert frame.image == whole[frame.index]
    for part in (0.25, 0.5, 0.75, 0.9):
        with pytest.raises(MediaError, match=r"damaged|no picture|no frames"):
            read_media(data[: int(part * len(data))])


@pytest.mark.parametrize("kind", [*MOVING, "png", "jpeg"])
def test_random_damage_is_a_media_error_or_a_picture(kind):
    data = media_of(kind, speckles(3))
    rng, refused = random.Random(2021), 0
    for _ in range(200):
        damaged = bytearray(data)
        for _ in range(rng.choice([1, 3, 10])):
            damaged[rng.randrange(len(data))] = rng.randrange(256)
        try:
            assert 1 <= len(read_media(bytes(damaged)).frames) <= 8
        except MediaError:
            refused += 1
    assert 0 < refused < 200  # some of it is seen, and not every changed byte is fatal


def test_a_comment_behind_the_last_frame_is_no_frame(tmp_path: Path):
    path = save_gif(tmp_path / "a.gif", [RED, BLUE, RED])
    data = path.read_bytes().removesuffix(b";") + b"!\xfe\x02hi\0;"
    plain, commented = read_media(path, 100), read_media(data, 100)
    assert [f.index for f in commented.frames] == [f.index for f in plain.frames] == [0, 1, 2]
    assert (commented.n_frames, commented.duration_ms) == (3, plain.duration_ms)

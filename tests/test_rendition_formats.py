"""Renditions as MP4 and GIF, for clients that show no WebP; their addresses and ranges."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from urllib.parse import urlsplit

import av
import pytest
from PIL import Image
from playwright.sync_api import Route as BrowserRoute
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from test_media_routes import bundle, client, gifs, id_of  # noqa: F401  (fixtures)
from test_renditions import GIF, SOURCES, duration_ms, film, noisy_frames, saved

from retrieval.media.films import encode_film
from retrieval.renditions import VERSION, WIDTHS, RenditionStore, render_animation
from retrieval.renditions.render import MAX_BYTES
from retrieval.web import rendition_url
from retrieval.web.ranges import bytes_response
from tests.support.browser import chromium


def played(rendition: bytes) -> tuple[av.VideoStream, list[av.VideoFrame]]:
    container = av.open(io.BytesIO(rendition), format="mp4")
    assert len(container.streams) == 1  # no sound
    return container.streams.video[0], list(container.decode(video=0))


def as_gif(rendition: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(rendition))
    assert image.format == "GIF"
    return image


def red_square_moves() -> bytes:
    frames = []
    for n in range(4):
        frame = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
        frame.paste((255, 0, 0, 255), (100, 20 * n, 200, 20 * n + 100))
        frames.append(frame)
    return saved(frames, "PNG", duration=100, disposal=1, blend=0)


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("width", WIDTHS)
def test_mp4_is_h264_and_takes_as_long_as_its_source(kind: str, width: int):
    rendition = render_animation(SOURCES[kind], width, format="mp4")
    stream, frames = played(rendition)
    context = stream.codec_context
    assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    assert (frames[0].width, frames[0].height) == (width, width * 270 // 480 // 2 * 2)
    assert float(stream.duration * stream.time_base) == pytest.approx(2, rel=0.03)
    assert len(rendition) <= MAX_BYTES["mp4"][width]
    assert rendition.find(b"moov") < rendition.find(b"mdat")  # it starts before it has come whole


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("width", WIDTHS)
def test_gif_is_small_and_takes_as_long_as_its_source(kind: str, width: int):
    rendition = render_animation(SOURCES[kind], width, format="gif")
    image = as_gif(rendition)
    assert image.size == (width, round(width * 270 / 480)) and image.n_frames > 2
    assert duration_ms(image) == pytest.approx(2000, rel=0.03)
    assert len(rendition) <= MAX_BYTES["gif"][width]


def test_frames_of_a_film_come_at_their_own_times():
    delays_ms = [50, 400, 120, 1000]
    plain = [Image.new("RGB", (300, 200), colour) for colour in ("red", "lime", "blue", "white")]
    stream, frames = played(render_animation(saved(plain, duration=delays_ms), 200, format="mp4"))
    assert [round(1000 * frame.time) for frame in frames] == [0, 50, 450, 570]
    assert float(stream.duration * stream.time_base) == pytest.approx(1.57, abs=0.01)
    red, green, blue = frames[2].to_image().getpixel((50, 50))
    assert red < 25 and green < 25 and blue > 230


def test_transparency_is_kept_in_a_gif_and_white_in_a_film():
    data = red_square_moves()
    image = as_gif(render_animation(data, 100, format="gif"))
    assert image.n_frames == 4
    for number in range(4):
        image.seek(number)
        shown = image.convert("RGBA")
        top = round(20 * number / 3)
        assert shown.getpixel((5, 60))[3] == 0
        assert shown.getpixel((50, top + 15)) == (255, 0, 0, 255)
        if number:  # what was red before is nothing again
            assert shown.getpixel((50, top - 3))[3] == 0
    _, frames = played(render_animation(data, 100, format="mp4"))
    assert min(frames[0].to_image().getpixel((5, 60))) > 245


def test_opaque_black_of_a_gif_stays_beside_transparency():
    frames = [Image.new("RGBA", (300, 200), (0, 0, 0, 255 * (n % 2))) for n in range(2)]
    for frame in frames:
        frame.paste((0, 0, 0, 255), (0, 0, 150, 200))
    image = as_gif(render_animation(saved(frames, "PNG", duration=100, blend=0), 100, format="gif"))
    assert image.convert("RGBA").getpixel((10, 10)) == (0, 0, 0, 255)


@pytest.mark.parametrize(("loop", "plays"), [(None, None), (0, 0), (2, 2)])
def test_loop_of_a_gif_is_kept(loop: int | None, plays: int | None):
    options = {} if loop is None else {"loop": loop}
    file, frames = io.BytesIO(), noisy_frames(3, (400, 300))
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], **options)
    image = as_gif(render_animation(file.getvalue(), 100, format="gif"))
    assert image.info.get("loop") == plays


def test_what_is_small_already_keeps_its_bytes_if_the_client_can_show_them():
    gif = saved(noisy_frames(2, (120, 60)))
    h264, old = (film(5, (96, 64), codec=codec) for codec in ("libx264", "mpeg4"))
    assert render_animation(gif, 100, format="gif") == gif
    assert render_animation(h264, 100, format="mp4") == h264
    assert played(render_animation(old, 100, format="mp4"))[0].codec_context.name == "h264"
    as_gif(render_animation(h264, 100, format="gif"))
    played(render_animation(gif, 100, format="mp4"))


def test_nothing_is_upscaled_and_odd_sides_become_even():
    _, frames = played(render_animation(saved(noisy_frames(3, (64, 48))), 480, format="mp4"))
    assert (frames[0].width, frames[0].height) == (64, 48)
    for size, even in (((101, 77), (100, 76)), ((40, 1), (40, 2))):
        pictures = [Image.new("RGB", size, colour) for colour in ("red", "blue")]
        _, frames = played(encode_film(pictures, [0, 100], 200, 26))
        assert (frames[0].width, frames[0].height) == even
    webp = saved(noisy_frames(3, (64, 48)), "WEBP")
    assert as_gif(render_animation(webp, 480, format="gif")).size == (64, 48)


def test_still_picture_is_a_gif_of_one_frame_and_a_film_of_a_second():
    picture = saved(noisy_frames(1, (600, 400)), "PNG")
    assert getattr(as_gif(render_animation(picture, 200, format="gif")), "n_frames", 1) == 1
    stream, frames = played(render_animation(picture, 200, format="mp4"))
    assert len(frames) == 1 and float(stream.duration * stream.time_base) == 1


def test_formats_are_stored_apart(tmp_path: Path):
    store, gif_id = RenditionStore(tmp_path, 10_000_000), hashlib.sha256(GIF).hexdigest()
    made = {form: store.animation(gif_id, GIF, 100, format=form) for form in ("webp", "mp4", "gif")}
    assert len(set(made.values())) == 3
    for form, rendition in made.items():
        assert store.cached_animation(gif_id, 100, form) == rendition
    with pytest.raises(ValueError, match="format is 'avi'; expected one of webp, mp4, gif"):
        store.animation(gif_id, GIF, 100, format="avi")


@pytest.mark.parametrize(("form", "kind"), [("mp4", "video/mp4"), ("gif", "image/gif")])
def test_route_has_type_ranges_and_a_tag_of_its_own(
    client: TestClient,  # noqa: F811
    bundle: Path,  # noqa: F811
    form: str,
    kind: str,
):
    gif_id = id_of(bundle, "wide")
    url = rendition_url(gif_id, 200, form)
    assert url == f"/rendition/{gif_id}/200.{form}?v={VERSION}"
    whole = client.get(url)
    tag, size = whole.headers["etag"], len(whole.content)
    assert (whole.status_code, whole.headers["content-type"]) == (200, kind)
    assert (
        whole.headers["accept-ranges"] == "bytes" and "immutable" in whole.headers["cache-control"]
    )
    assert tag != client.get(rendition_url(gif_id, 200)).headers["etag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert client.head(url).headers["content-length"] == str(size)

    def part(asked: str, **more: str) -> tuple[int, bytes, str | None]:
        answer = client.get(url, headers={"Range": asked} | more)
        return answer.status_code, answer.content, answer.headers.get("content-range")

    assert part("bytes=4-7") == (206, whole.content[4:8], f"bytes 4-7/{size}")
    assert part("bytes=-5") == (206, whole.content[-5:], f"bytes {size - 5}-{size - 1}/{size}")
    assert part("bytes=0-") == (206, whole.content, f"bytes 0-{size - 1}/{size}")
    assert part("bytes=4-7", **{"If-Range": tag})[0] == 206
    assert part("bytes=4-7", **{"If-Range": '"older"'}) == (200, whole.content, None)
    assert part(f"bytes={size}-") == (416, b"", f"bytes */{size}")
    for nonsense in ("bytes=9-4", "bytes=x", "lines=1-2", "bytes=0-1,4-5"):
        assert part(nonsense) == (200, whole.content, None)


def test_other_formats_are_404_in_one_sentence(client: TestClient, bundle: Path):  # noqa: F811
    gif_id = id_of(bundle, "wide")
    answer = client.get(f"/rendition/{gif_id}/200.avi")
    assert (answer.status_code, answer.text) == (
        404,
        "No rendition is a .avi; expected webp, mp4 or gif.",
    )
    assert client.get(f"/rendition/{gif_id}/300.mp4").status_code == 404
    assert client.get(f"/rendition/{gif_id}/200.mp4?v=0").status_code == 200


PLAY = """async (url) => {
  const video = document.createElement("video");
  video.muted = true;
  video.src = url;
  await new Promise((done, fail) => {
    video.oncanplaythrough = done;
    video.onerror = () => fail(video.error.message);
  });
  video.currentTime = 1.0;
  await new Promise((done) => { video.onseeked = done; });
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  return {ready: video.readyState, duration: video.duration, size: [canvas.width, canvas.height],
          colour: [...context.getImageData(20, 20, 1, 1).data]};
}"""


def test_film_plays_in_a_browser_in_the_right_colours():
    colours = [(200, 30, 40)] * 5 + [(20, 160, 60)] * 15
    data = saved([Image.new("RGB", (300, 200), colour) for colour in colours], "WEBP", duration=100)
    rendition = render_animation(data, 200, format="mp4")

    def answer(request: Request) -> Response:
        if request.url.path == "/":
            return Response("<p>", media_type="text/html")
        return bytes_response(request, rendition, "video/mp4", {"ETag": '"a"'})

    server = TestClient(Starlette(routes=[Route("/{path:path}", answer)]))

    def from_server(route: BrowserRoute) -> None:
        got = server.get(urlsplit(route.request.url).path, headers=route.request.headers)
        route.fulfill(status=got.status_code, headers=dict(got.headers), body=got.content)

    with chromium() as browser:
        page = browser.new_page()
        page.route("http://films.test/**", from_server)
        page.goto("http://films.test/")
        seen = page.evaluate(PLAY, "/a.mp4")
    assert seen["ready"] == 4 and seen["size"] == [200, 132]
    assert seen["duration"] == pytest.approx(2, rel=0.03)
    assert seen["colour"][:3] == pytest.approx([20, 160, 60], abs=6)

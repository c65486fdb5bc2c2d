"""The routes of originals, renditions and stills: headers, caching, refusals."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BLUE, RED, FakeEncoder, save_gif
from hub_stand_in import HubStandIn
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from retrieval.build.build import build_index
from retrieval.hub import upload
from retrieval.library.bundle import Bundle
from retrieval.library.catalog import read_catalog
from retrieval.publishing import bundle_files
from retrieval.renditions import RenditionStore
from retrieval.web import rendition_url, still_url
from retrieval.web.media_routes import RejectInvalidMediaUrls, current_renditions, media_routes
from retrieval.web.renditions import Renditions
from retrieval.web.settings import current_settings

YEAR = "public, max-age=31536000, immutable"


def save_wide_gif(path: Path, shade: int = 0) -> Path:
    """An animation of 480 × 270 pixels that takes some kilobytes."""
    frames = [Image.effect_noise((120, 68), 60 + shade + n).resize((480, 270)) for n in range(6)]
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80, loop=0)
    return path


@pytest.fixture
def gifs(tmp_path: Path) -> Path:
    save_wide_gif(tmp_path / "source of gifs" / "wide.gif")
    save_gif(tmp_path / "source of gifs" / "tiny.gif", [RED, BLUE])
    rows = ["file_name,license", "wide.gif,MIT", "tiny.gif,MIT"]
    (tmp_path / "source of gifs" / "metadata.csv").write_text("\n".join(rows))
    (tmp_path / "source of gifs" / "LICENSE.txt").write_text("Do as you like.")
    return tmp_path / "source of gifs"


@pytest.fixture
def bundle(gifs: Path, tmp_path: Path) -> Path:
    build_index(gifs, tmp_path / "bundle", FakeEncoder(), copy_media=True)
    return tmp_path / "bundle"


@pytest.fixture
def client(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("REACTION_INDEX", str(bundle))
    monkeypatch.setenv("REACTION_CACHE", str(tmp_path / "cache"))
    yield client_of()


def client_of() -> TestClient:
    current_settings.cache_clear()
    current_renditions.cache_clear()
    app = Starlette(routes=media_routes(), middleware=[Middleware(RejectInvalidMediaUrls)])
    return TestClient(app, raise_server_exceptions=False)


def id_of(bundle: Path, title: str) -> str:
    (gif_id,) = (r.id for r in read_catalog(bundle / "catalog.parquet") if title in r.uri)
    return gif_id


def test_rendition_is_a_small_webp_that_browsers_keep(client: TestClient, bundle: Path):
    url = rendition_url(id_of(bundle, "wide"), 200)
    answer = client.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.size == (200, 112) and picture.n_frames == 6
    assert answer.headers["cache-control"] == YEAR
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    again = client.get(url, headers={"If-None-Match": f'"x", W/{answer.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert client.get(url, headers={"If-None-Match": '"x"'}).status_code == 200
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))


def test_small_original_is_the_rendition_and_has_its_own_type(client: TestClient, bundle: Path):
    answer = client.get(rendition_url(id_of(bundle, "tiny"), 200))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.content == (next((bundle / "media").glob("*tiny*"))).read_bytes()


def test_still_is_a_webp_of_an_embedded_frame(client: TestClient, bundle: Path):
    tiny = id_of(bundle, "tiny")
    answer = client.get(still_url(tiny, 1, 100))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    red, _, blue = Image.open(io.BytesIO(answer.content)).convert("RGB").getpixel((5, 5))
    assert blue > 230 and red < 25
    assert answer.headers["cache-control"] == YEAR
    etag = {"If-None-Match": answer.headers["etag"]}
    assert client.get(still_url(tiny, 1, 100), headers=etag).status_code == 304
    missing = client.get(still_url(tiny, 7, 100), headers=etag)
    assert (missing.status_code, missing.text) == (
        404,
        f"Frame 7 of GIF {tiny[:12]} is not indexed.",
    )


def test_original_comes_whole_in_ranges_or_not_at_all(client: TestClient, bundle: Path):
    url = f"/gif/{id_of(bundle, 'wide')}.gif"
    whole = client.get(url)
    assert whole.headers["cache-control"] == YEAR
    part = client.get(url, headers={"Range": "bytes=6-9", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, whole.content[6:10])
    known = client.get(url, headers={"If-None-Match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert client.head(url).headers["content-length"] == str(len(whole.content))


def test_other_widths_are_404_in_one_sentence(client: TestClient, bundle: Path):
    gif_id = id_of(bundle, "wide")
    for url in (f"/rendition/{gif_id}/300.webp", f"/still/{gif_id}/0/300.webp"):
        answer = client.get(url)
        assert answer.status_code == 404
        assert answer.text == "No rendition is 300 pixels wide; expected 100, 200 or 480."


def test_rendition_is_stored_and_outlives_the_process(
    client: TestClient, bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    url = rendition_url(id_of(bundle, "wide"), 200)
    first = client.get(url).content

    def fail(*args: object) -> bytes:
        raise AssertionError("rendered again")

    monkeypatch.setattr("retrieval.renditions.store.sandboxed_animation", fail)
    assert client_of().get(url).content == first


def urls_of(gif_id: str) -> list[str]:
    return [f"/gif/{gif_id}.gif", rendition_url(gif_id, 200), still_url(gif_id, 0, 200)]


def refusals(client: TestClient, gif_id: str, *folders: Path) -> set[str]:
    """What the routes say; each is a 404 without a path of this machine."""
    texts = set()
    for url in urls_of(gif_id):
        answer = client.get(url)
        assert answer.status_code == 404, url
        assert not any(str(folder) in answer.text for folder in folders)
        assert "/" not in answer.text and "Traceback" not in answer.text
        texts.add(answer.text)
    return texts


def test_unknown_gif_names_no_path(client: TestClient, tmp_path: Path):
    assert refusals(client, "zzz", tmp_path) == {"No GIF zzz in this library."}


def test_missing_and_damaged_files_name_no_path(client: TestClient, bundle: Path, tmp_path: Path):
    wide, tiny = id_of(bundle, "wide"), id_of(bundle, "tiny")
    next((bundle / "media").glob("*wide*")).unlink()
    assert refusals(client, wide, tmp_path) == {f"The file of GIF {wide[:12]} cannot be read."}
    file = next((bundle / "media").glob("*tiny*"))
    file.write_bytes(file.read_bytes()[:60])
    for url in urls_of(tiny)[1:]:
        answer = client.get(url)
        assert answer.status_code == 404 and str(tmp_path) not in answer.text
        assert " cannot be decoded: its file was changed" in answer.text


@pytest.mark.parametrize("name", ["catalog.parquet", "embeddings/part-00000.parquet"])
@pytest.mark.parametrize("damage", ["cut", "other columns", "gone"])
def test_broken_bundle_names_no_path(
    client: TestClient, bundle: Path, tmp_path: Path, name: str, damage: str
):
    import pyarrow as pa
    import pyarrow.parquet as pq

    wide = id_of(bundle, "wide")
    if damage == "cut":
        (bundle / name).write_bytes((bundle / name).read_bytes()[:200])
    elif damage == "other columns":
        pq.write_table(pa.table({"x": [1]}), bundle / name)
    else:
        (bundle / name).unlink()
    for url in urls_of(wide)[0 if name == "catalog.parquet" else 2 :]:
        answer = client.get(url)
        assert answer.status_code == 404, answer.text
        assert answer.text in (
            "This library is not open.",
            f"Frame 0 of GIF {wide[:12]} is not indexed.",
        )


def test_damaged_file_of_a_pulled_bundle_names_no_path(
    bundle: Path, hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    address = "hf://datasets/me/gifs"
    upload("me/gifs", "dataset", bundle_files(bundle, "me/gifs").files, message="a bundle")
    monkeypatch.setenv("REACTION_INDEX", address)
    monkeypatch.setenv("REACTION_CACHE", str(tmp_path / "cache"))
    client, wide = client_of(), id_of(bundle, "wide")
    assert refusals(client, wide, tmp_path) == {"This library is not open."}
    folder = Bundle.open(address).path
    assert client.get(rendition_url(wide, 200)).status_code == 200
    file = next((folder / "media").glob("*wide*"))
    target = file.resolve()
    target.chmod(0o644)
    target.write_bytes(b"GIF89a")
    for url in (rendition_url(wide, 480), still_url(wide, 0, 480)):
        answer = client.get(url)
        assert (
            answer.status_code == 404 and " cannot be decoded: its file was changed" in answer.text
        )
        assert str(tmp_path) not in answer.text


def test_slow_gif_does_not_hold_up_the_others(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With one worker, a slow one's turn goes to those that wait, as soon as its slice is over."""

    def render(data: bytes, width: int, limits: object, stop, *others: object) -> bytes:
        until = time.monotonic() + (4 if data == b"slow" else 0)
        while time.monotonic() < until:
            assert not stop()
            time.sleep(0.02)
        return data

    monkeypatch.setattr("retrieval.renditions.store.sandboxed_animation", render)
    slow, fast = tmp_path / "slow", tmp_path / "fast"
    slow.write_bytes(b"slow")
    fast.write_bytes(b"fast")
    renditions = Renditions(RenditionStore(tmp_path / "cache", 1_000_000), at_once=1)
    with renditions.animation("slow", slow, 200) as job:
        time.sleep(0.2)
        start = time.monotonic()
        for n in range(5):
            with renditions.animation(f"fast {n}", fast, 200) as other:
                assert other.future.result(5) == b"fast"
        assert time.monotonic() - start < 3.5 and not job.future.done()


def test_concurrent_requests_render_once_and_stop_when_all_have_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    started, stopped = [], threading.Event()

    def render(data: bytes, width: int, limits: object, stop, *others: object) -> bytes:
        started.append(width)
        while not stop():
            time.sleep(0.01)
        stopped.set()
        return data

    monkeypatch.setattr("retrieval.renditions.store.sandboxed_animation", render)
    (tmp_path / "gif").write_bytes(b"gif")
    renditions = Renditions(RenditionStore(tmp_path / "cache", 1_000_000), at_once=2)
    with renditions.animation("gif", tmp_path / "gif", 200) as job:
        with renditions.animation("gif", tmp_path / "gif", 200) as same:
            assert same is job
        time.sleep(0.1)
        assert started == [200] and not stopped.is_set()
    assert stopped.wait(2)


def test_original_that_was_changed_since_it_was_indexed_is_not_served(
    client: TestClient, bundle: Path
):
    wide = id_of(bundle, "wide")
    file = next((bundle / "media").glob("*wide*"))
    data = bytearray(file.read_bytes())
    assert client.get(f"/gif/{wide}.gif").content == data
    data[-100] ^= 1
    file.write_bytes(data)
    answer = client.get(f"/gif/{wide}.gif")
    assert (answer.status_code, str(bundle) in answer.text) == (404, False)
    assert "was changed since it was indexed" in answer.text
    data[-100] ^= 1
    file.write_bytes(data)
    assert client.get(f"/gif/{wide}.gif", headers={"Range": "bytes=0-3"}).content == data[:4]

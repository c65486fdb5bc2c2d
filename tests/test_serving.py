"""What the server gives out of a bundle that may be somebody else's, and at what cost."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from conftest import BLUE, RED, FakeEncoder, save_gif, save_heavy_gif
from PIL import Image
from starlette.requests import Request
from starlette.types import Message

from retrieval.build.build import build_index
from retrieval.errors import BundleError, MediaError
from retrieval.hub import stays_inside
from retrieval.library.catalog import Record, read_catalog, write_catalog
from retrieval.library.embeddings import GifFrames, write_shard
from retrieval.library.manifest import read_manifest
from retrieval.renditions import RenditionStore
from retrieval.web import media_routes
from retrieval.web.renditions import Renditions
from retrieval.web.routes import check_frame, find_file
from tests.support.compatible import ESCAPES
from tests.support.manifests import accept_changes, edit_manifest
from tests.support.server import Server, serving

SECRET = b"GIF89a of the host"
HEAVY_FRAME = 1_500  # some seconds of decoding away


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float


def get(url: str, timeout_s: float = 30) -> Answer:
    start = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            status, headers, body = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, headers, body = error.code, error.headers, error.read()
    named = {name.lower(): value for name, value in headers.items()}
    return Answer(status, named, body, time.monotonic() - start)


def id_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose catalogue names what it should not, and the files that it names."""
    folder = tmp_path_factory.mktemp("host folder")
    media = folder / "bundle" / "media"
    save_gif(folder / "source" / "plain.gif", [RED, BLUE])
    build_index(folder / "source", folder / "bundle", FakeEncoder(), copy_media=True)
    (folder / "secret.gif").write_bytes(SECRET)
    (folder / "bundle-of-another").mkdir()
    (folder / "bundle-of-another" / "secret.gif").write_bytes(SECRET)
    (media / "page.gif").write_text("<script>alert(1)</script>")
    (media / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (media / "link.gif").symlink_to(folder / "secret.gif")
    (media / "circle.gif").symlink_to(media / "circle.gif")
    os.mkfifo(media / "pipe.gif")
    (media / "folder.gif").mkdir()
    Image.new("RGB", (8, 8), RED).save(media / "picture.html", "PNG")
    save_heavy_gif(media / "heavy.gif", 1_600, HEAVY_FRAME + 1)
    uris = {
        "absolute": str(folder / "secret.gif"),
        "upwards": "../secret.gif",
        "deeply upwards": "media/../../secret.gif",
        "same beginning": "../bundle-of-another/secret.gif",
        "system": "/etc/hostname",
        "page": "media/page.gif",
        "drawing": "media/drawing.svg",
        "link": "media/link.gif",
        "circle": "media/circle.gif",
        "pipe": "media/pipe.gif",
        "folder": "media/folder.gif",
        "device": "/dev/zero",
        "nothing": "",
        "gone": "media/gone.gif",
        "zero": "media/a\0b.gif",
        "long": "media/" + "x" * 5_000,
        "script": "javascript://a.b/%0aalert(1)",
        "file": f"file://{folder}/secret.gif",
        "data": "data:image/gif;base64,R0lGODlh",
        "picture": "media/picture.html",
        "heavy": "media/heavy.gif",
    }
    bundle = folder / "bundle"
    records = list(read_catalog(bundle / "catalog.parquet"))
    records += [Record(id_of(name), uri, name) for name, uri in uris.items()]
    write_catalog(records, bundle / "catalog.parquet")
    frames = np.array([0, HEAVY_FRAME], np.int32)
    vectors = np.eye(3, dtype=np.float32)[:2]
    heavy = GifFrames(id_of("heavy"), frames, frames, vectors)
    write_shard([heavy], 3, bundle / "embeddings" / "part-00001.parquet")
    # In the manifest as well: what is refused is not refused for its hash alone.
    listed = [uri for uri in uris.values() if 0 < len(uri) < 100 and stays_inside(uri)]
    files = [name for name in listed if "\0" not in name and (bundle / name).is_file()]
    assert {"media/page.gif", "media/link.gif", "media/heavy.gif"} <= set(files)
    files += [*read_manifest(bundle).files, "embeddings/part-00001.parquet"]
    edit_manifest(bundle, files=dict.fromkeys(files))
    accept_changes(bundle)
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with serving(environment={"REACTION_INDEX": str(folder / "bundle")}) as server:
        yield server


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(environment={"REACTION_INDEX": str(folder / "bundle")}) as server:
        yield server.address


REFUSED = (
    *("absolute", "upwards", "deeply upwards", "same beginning", "system", "page", "drawing"),
    *("link", "circle", "pipe", "folder", "device", "nothing", "gone", "zero", "long", "script"),
    *("file", "data"),
)


@pytest.mark.parametrize("name", REFUSED)
def test_gif_route_refuses_what_is_no_media_file_of_the_bundle(
    address: str, folder: Path, name: str
):
    gif_id = id_of(name)
    for path in (f"gif/{gif_id}.gif", f"rendition/{gif_id}/200.webp", f"still/{gif_id}/0/200.webp"):
        answer = get(f"{address}/{path}", timeout_s=5)
        assert (answer.status, answer.took_s < 2) == (404, True), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"].startswith("text/plain")
        assert str(folder).encode() not in answer.body and SECRET not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "gif/zzz.gif",
        "gif/zzz",
        "gif/",
        "gif/a%2Fb.gif",
        "gif/..%2F..%2Fsecret.gif",
        "gif/../secret.gif",
        "gif/a%00b.gif",
        "gif/%FF.gif",
        f"gif/{'f' * 5_000}.gif",
        f"gif/{id_of('picture')}.gif%2Fx",
        f"still/{id_of('picture')}/{'9' * 5_000}/200.webp",
        f"still/{id_of('picture')}/-1/200.webp",
        f"still/{id_of('picture')}/%D9%A1/200.webp",
        f"still/{id_of('picture')}/0",
        f"still/{id_of('picture')}/0.png",
        f"still/{id_of('picture')}/0/200.webp/200.webp",
        "still/zzz/0/200.webp",
        "rendition/zzz/200.webp",
        f"rendition/{id_of('picture')}/{'9' * 5_000}.webp",
        f"rendition/{id_of('picture')}/%D9%A1.webp",
        f"rendition/{id_of('picture')}/200.avi",
    ],
)
def test_absurd_address_is_404_and_names_no_path(address: str, folder: Path, path: str):
    answer = get(f"{address}/{path}")
    assert answer.status == 404 and answer.headers["x-content-type-options"] == "nosniff"
    assert str(folder).encode() not in answer.body and b"bundle" not in answer.body


@pytest.mark.parametrize("prefix", ["/api/v1", "/v1", "/v2", "/integrations"])
def test_api_of_the_pages_server_answers_every_address_in_json(address: str, prefix: str):
    """Streamlit would send its page to these addresses, or its own refusal to some."""
    port = urlsplit(address).port
    inside = ("", "/", "/nothing", "/../../etc/passwd", "/%2e%2e/%2e%2e/app.py", "/none/..%00.gif")
    for path in (*inside, *(f"/none/{escape}" for escape in ESCAPES)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.putrequest("GET", prefix + path, skip_accept_encoding=True)
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 404, path
        assert "address" in response.read().decode(), path  # of our own sentence
        connection.close()


def test_media_type_is_that_of_the_content_and_the_answer_is_guarded(address: str, folder: Path):
    plain = read_catalog(folder / "bundle" / "catalog.parquet")[0]
    for gif_id, media_type in ((id_of("picture"), "image/png"), (plain.id, "image/gif")):
        for path, expected in (
            (f"gif/{gif_id}.html", media_type),
            (f"rendition/{gif_id}/200.webp", media_type),
            (f"still/{plain.id}/0/200.webp", "image/webp"),
        ):
            answer = get(f"{address}/{path}")
            assert (answer.status, answer.headers["content-type"]) == (200, expected)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in answer.headers["content-security-policy"]


def test_still_is_made_of_embedded_frames_only(folder: Path):
    bundle = folder / "bundle"
    plain = read_catalog(bundle / "catalog.parquet")[0].id
    check_frame(bundle, plain, 1)
    check_frame(bundle, id_of("heavy"), HEAVY_FRAME)
    for gif_id, frame in ((plain, 2), (id_of("heavy"), 7), (id_of("picture"), 0)):
        with pytest.raises(MediaError, match="is not indexed"):
            check_frame(bundle, gif_id, frame)


def test_heavy_stills_leave_the_server_answering_and_end_with_those_who_asked(
    server: Server, folder: Path
):
    plain = read_catalog(folder / "bundle" / "catalog.parquet")[0].id
    assert get(f"{server.address}/still/{plain}/0/200.webp").status == 200
    before_mb = server.resident_mb(peak=True)

    def ask(frame: int) -> None:
        with suppress(OSError):  # gone, as a visitor who does not want to wait
            get(f"{server.address}/still/{id_of('heavy')}/{frame}/200.webp", timeout_s=1)

    visitors = [threading.Thread(target=ask, args=(HEAVY_FRAME - n % 3,)) for n in range(45)]
    for visitor in visitors:
        visitor.start()
    time.sleep(0.5)
    assert get(f"{server.address}/gif/{plain}.gif").took_s < 1
    for visitor in visitors:
        visitor.join()
    time.sleep(1.5)
    used_s = server.processor_s()
    time.sleep(1)
    assert server.processor_s() - used_s < 0.5
    assert server.resident_mb(peak=True) - before_mb < 500


def test_server_ends_soon_while_it_decodes(server: Server):
    def ask(frame: int) -> None:
        with suppress(OSError):  # the server ends first
            get(f"{server.address}/still/{id_of('heavy')}/{frame}/200.webp", timeout_s=300)

    visitors = [threading.Thread(target=ask, args=(HEAVY_FRAME - n,)) for n in range(45)]
    for visitor in visitors:
        visitor.start()
    time.sleep(0.5)
    assert visitors[0].is_alive()
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(20)
    assert time.monotonic() - start < 5


def test_still_beyond_the_queue_is_answered_503_with_retry_after(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REACTION_INDEX", str(folder / "bundle"))

    async def connected() -> Message:
        await asyncio.sleep(60)
        raise AssertionError("nobody leaves")

    full = Renditions(RenditionStore(tmp_path, 1_000_000), at_once=0, waiting=0)
    monkeypatch.setattr(media_routes, "current_renditions", lambda: full)
    plain = read_catalog(folder / "bundle" / "catalog.parquet")[0].id
    where = {"gif_id": plain, "frame": 0, "width": 200}
    scope = {"type": "http", "path_params": where, "headers": []}
    answer = asyncio.run(media_routes.serve_still(Request(scope, connected)))
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert bytes(answer.body) == b"Too many people are asking just now. Try again soon."


@pytest.fixture
def built(library: Path, tmp_path: Path, encoder: FakeEncoder) -> Path:
    """A bundle that points at the library's files."""
    build_index(library, tmp_path / "built", encoder)
    return tmp_path / "built"


def test_media_of_a_build_of_this_machine_are_served_where_they_lie(
    built: Path, library: Path, tmp_path: Path
):
    copied = shutil.copytree(built, tmp_path / "elsewhere" / "copied")
    for bundle in (built, copied):
        for record in read_catalog(built / "catalog.parquet"):
            file = find_file(bundle, record.id)
            assert file.path == Path(record.uri).resolve() and file.path.is_relative_to(library)
            assert file.media_type == "image/gif"


def test_media_of_a_build_of_another_machine_are_not_served(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    record = read_catalog(built / "catalog.parquet")[0]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-of-another"))
    with pytest.raises(MediaError, match="outside of this library, which was not built here"):
        find_file(built, record.id)


def test_catalogue_that_was_changed_since_its_build_is_not_trusted(built: Path, tmp_path: Path):
    (tmp_path / "library" / "new.gif").write_bytes(SECRET)
    records = list(read_catalog(built / "catalog.parquet"))
    records[0] = replace(records[0], uri=str(tmp_path / "library" / "new.gif"))
    write_catalog(records, built / "catalog.parquet")
    with pytest.raises(BundleError, match=r"catalog\.parquet is truncated or changed"):
        find_file(built, records[0].id)
    accept_changes(built)
    with pytest.raises(MediaError, match="outside of this library, which was not built here"):
        find_file(built, records[0].id)


def test_link_in_the_source_that_leads_out_of_it_later_is_refused(built: Path, tmp_path: Path):
    record = read_catalog(built / "catalog.parquet")[0]
    outside = tmp_path / "outside.gif"
    outside.write_bytes(Path(record.uri).read_bytes())
    Path(record.uri).unlink()
    Path(record.uri).symlink_to(outside)
    with pytest.raises(MediaError):
        find_file(built, record.id)

"""What the API tells of GIFs that come from elsewhere: addresses, titles, films."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import FakeEncoder, save_gif
from starlette.testclient import TestClient

from retrieval.build.build import build_index
from retrieval.library.catalog import read_catalog, write_catalog
from retrieval.web import loader
from tests.support.api import api_client, loaded, search
from tests.support.manifests import accept_changes, edit_manifest

HOSTILE = {
    "script": "javascript://a.b/%0aalert(1)",
    "file": "file:///etc/hostname",
    "data": "data:image/gif;base64,R0lGODlh",
    "upwards": "../../secret.gif",
    "system": "/etc/hostname",
}
WEB = {
    "web": "https://a.b/c/dance%20now.gif?x=1",
    "film": "https://a.b/c/dance.mp4",
}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The API over a bundle of somebody else, with hostile addresses and addresses on the web."""
    encoder = FakeEncoder()
    uris = HOSTILE | WEB
    for number, name in enumerate(uris):
        save_gif(tmp_path / "gifs" / f"{name}.gif", [(30 * number + 9, 0, 0), (0, 0, 99)])
    out = tmp_path / "bundle"
    build_index(tmp_path / "gifs", out, encoder, copy_media=True)
    records = [
        replace(r, uri=uris[r.title], source=uris[r.title], group=-1)
        for r in read_catalog(out / "catalog.parquet")
    ]
    records[0] = replace(records[0], title=f"<script>{records[0].title}" + "x" * 5_000)
    write_catalog(records, out / "catalog.parquet")
    manifest = json.loads((out / "manifest.json").read_text())
    for name in uris:
        (out / "media" / f"{name}.gif").unlink()
        del manifest["files"][f"media/{name}.gif"]
    edit_manifest(out, files=manifest["files"])
    accept_changes(out)
    monkeypatch.setenv("REACTION_INDEX", str(out))
    monkeypatch.setattr(loader, "_latest", {})
    monkeypatch.setattr(loader, "encoder_of", lambda *of: encoder)
    return loaded(api_client())


def test_gif_with_an_unsupported_address_has_no_picture_and_no_link(client: TestClient):
    gifs = [gif for gif in search(client, q="red", fold=0)["gifs"] if not gif["is_web"]]
    assert len(gifs) == len(HOSTILE)
    for gif in gifs:
        assert gif["file"] is gif["preview"] is gif["thumb"] is gif["still"] is None
        assert gif["bytes"] is None and gif["source_is_web"] is False
        assert [frame["still"] for frame in gif["frames"]] == [None, None]
        assert "/" not in gif["file_name"]


def test_gif_on_the_web_is_shown_from_its_own_address(client: TestClient):
    gifs = {gif["title"]: gif for gif in search(client, q="red", fold=0)["gifs"]}
    web = gifs["web"]
    assert web["file"] == web["preview"] == web["thumb"] == web["still"] == WEB["web"]
    assert web["is_web"] and web["source_is_web"] and web["bytes"] is None
    assert web["file_name"] == "dance now.gif" and not web["film"]
    assert [frame["still"] for frame in web["frames"]] == [None, None]
    assert gifs["film"]["film"]


def test_long_title_is_cut_and_markup_in_it_stays_text(client: TestClient):
    titles = [gif["title"] for gif in search(client)["gifs"]]
    assert max(map(len, titles)) == 1_000
    assert any(title.startswith("<script>") for title in titles)


def test_files_of_gifs_are_not_opened_again_for_the_next_search(client, monkeypatch):
    first = search(client, q="red")
    monkeypatch.setattr("retrieval.api.gifs.media_file", None)  # whoever calls it fails
    assert search(client, q="red")["gifs"] == first["gifs"]

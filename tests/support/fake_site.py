"""A static site of the starter library whose engine is a fake with recorded answers.

The page is the real one (retrieval.site.page). The answers are the Python server's, recorded when
the site is written, with the addresses and the missing frames of a static site.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from retrieval.api.routes import current_searcher
from retrieval.paths import STARTER
from retrieval.site.page import (
    INDEX,
    WORKER,
    Software,
    index_html,
    kept_offline,
    page_files,
    page_folder,
    service_worker,
    site_version,
)
from tests.support.api import ROOT, api_client, loaded, search

FAKE_ENGINE = Path(__file__).with_name("fake_engine.js")
MODEL = "repo/model/text.onnx"  # of a site in a folder repo/
UNVERSIONED = "0000000000000000"
MODEL_BYTES = 3_000_000
MESSAGES = ("You're awesome", "so tired", "thank you", "I got the job 🎉")
SCRIPT_TITLE = "<script>document.title = 'run'</script>"
SOFTWARE = [Software("onnxruntime-web", "MIT", "vendor/LICENSE")]
AGREEMENT = {"n_messages": 200, "overlap_at_10": 0.975, "image_cosine_mean": None}


def write_fake_site(folder: Path, *, pictures: bool = False) -> Path:
    """Write the site; another call into the same folder writes it anew."""
    client = loaded(api_client())
    searcher = current_searcher("en")
    pages = [search(client, surprise="1", fold="0", limit=120, offset=n) for n in (0, 120, 240)]
    everything = {**pages[0], "gifs": [gif for page in pages for gif in page["gifs"]]}
    answers = {f"{q}|||": search(client, q=q, limit=60) for q in MESSAGES}
    answers["|||"] = answers["|||1"] = everything
    answers["||applause|"] = search(client, browse="applause", limit=60)
    for gif in answers["You're awesome|||"]["gifs"][:3]:
        like = gif["id"][:16]
        answers[f"|{like}||"] = search(client, like=like, limit=60)
    recorded = {
        "answers": answers,
        "catalog": everything["gifs"],
        "empty": {**everything, "gifs": []},
        "categories": {
            lang: client.get(ROOT + f"categories?lang={lang}").json()["categories"]
            for lang in ("en", "ko")
        },
        "filters": client.get(ROOT + "filters").json(),
        "model_bytes": MODEL_BYTES,
    }
    _disguise(answers["thank you|||"]["gifs"][1])
    files = {
        **page_files(searcher, SOFTWARE),
        f"{page_folder()}/worker.js": FAKE_ENGINE.read_bytes(),
        "data/answers.json": json.dumps(_as_static(recorded)).encode(),
        "model/text.onnx": bytes(MODEL_BYTES),
        "model/model.json": json.dumps({"agreement": AGREEMENT}).encode(),
        "vendor/LICENSE": b"MIT License\n",
    }
    files["index.html"] = index_html(searcher, UNVERSIONED, pictures=pictures)
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    if not (folder / "media").exists():
        _write_pictures(folder, everything["gifs"])
    _seal(folder, UNVERSIONED)
    return folder


def change_fake_site(folder: Path, path: str, content: bytes) -> None:
    """Put another version of the site in its place, of which one file differs."""
    (folder / path).write_bytes(content)
    version = re.search(r'name="reaction-version" content="(\w+)"', (folder / INDEX).read_text())
    assert version
    _seal(folder, version[1])


def _seal(folder: Path, before: str) -> None:
    """Write the version into the page instead of the one before, and the service worker."""
    paths = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    hashes = {path: _sha256(folder / path) for path in paths if kept_offline(path)}
    version = site_version(hashes)
    index = folder / INDEX
    index.write_text(index.read_text().replace(before, version))
    hashes[INDEX] = _sha256(index)
    (folder / WORKER).write_bytes(service_worker(version, hashes))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _disguise(gif: dict[str, Any]) -> None:
    """A GIF with a hostile title, and with words in its picture."""
    gif["title"] = SCRIPT_TITLE
    gif["words"] = {
        "text": "THANK <b>YOU</b>",
        "frame": 0,
        "time_ms": 0,
        "confidence": 0.9,
        "box": [0.1, 0.1, 0.9, 0.4],
        "still": gif["still"],
    }


def _as_static(value: Any) -> Any:
    """Answers of the server as those of a static site: its addresses, and no frames."""
    if isinstance(value, list):
        return [_as_static(each) for each in value]
    if not isinstance(value, Mapping):
        return _static_address(value) if isinstance(value, str) else value
    static = {key: _as_static(each) for key, each in value.items()}
    return {**static, "frames": []} if "frames" in static else static


def _static_address(text: str) -> str:
    text = re.sub(r"^gif/(\w\w)", r"media/\1/\1", text)
    text = re.sub(
        r"^(rendition|still)/(\w\w)(\w+)/(?:\d+/)?(\d+)\.webp.*$", r"\1/\2/\2\3/\4.webp", text
    )
    return text


def _write_pictures(folder: Path, gifs: list[dict[str, Any]]) -> None:
    """Originals, which here stand in for their renditions as well, and first frames."""
    for gif in gifs:
        beginning = gif["id"][:2]
        original = STARTER / "media" / gif["file_name"]
        media = folder / "media" / beginning / f"{gif['id']}.gif"
        media.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(original, media)
        for width in (100, 200):
            rendition = folder / "rendition" / beginning / gif["id"] / f"{width}.webp"
            still = folder / "still" / beginning / gif["id"] / f"{width}.webp"
            for file in (rendition, still):
                file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(original, rendition)
            with Image.open(original) as picture:
                picture.save(still, "GIF")


def facts(page: Page) -> Locator:
    """The line that says how many GIFs are ranked, and by what."""
    return page.locator(".facts-line")


def loading_line(page: Page) -> Locator:
    """The line at the foot of the page."""
    return page.locator(".loading")


def by_meaning(page: Page) -> None:
    """Wait until the results are those by meaning."""
    expect(facts(page)).to_contain_text("frames, words in the picture, names, reaction")

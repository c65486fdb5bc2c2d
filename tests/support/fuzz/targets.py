"""Readers of strangers' bytes, each as a function that raises on a finding.

A reader may refuse what it is given by the errors that its callers expect; anything else, and
what takes too long or too much memory, is a finding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import QueryParams
from starlette.testclient import TestClient

from retrieval.api.answers import answer
from retrieval.api.application import create_app
from retrieval.api.problems import ProblemError
from retrieval.api.questions import parse_question
from retrieval.build.lists import ListSource
from retrieval.errors import BundleError, MediaError, RetrievalError, SourceError
from retrieval.hub import stays_inside
from retrieval.library.catalog import read_catalog
from retrieval.library.manifest import DAMAGE, MANIFEST, owned_files, read_manifest
from retrieval.media import Limits, formats, read_media
from retrieval.paths import ROOT, STARTER
from retrieval.search import Searcher

Target = Callable[[bytes], None]

LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000, max_decode_s=4)
CODECS = ("h264", "hevc", "libdav1d")
LISTS = (".txt", ".csv", ".jsonl", ".parquet")
# Below each of these, what is fuzzed is the query string; below the last ones, the path as well.
ADDRESSES = (
    "/api/v1/search",
    "/api/v1/categories",
    "/api/v1/filters",
    "/v1/gifs/search",
    "/v1/gifs/trending",
    "/v1/gifs/random",
    "/v1/gifs",
    "/v1/tags/related/cat",
    "/v2/search",
    "/v2/featured",
    "/v2/posts",
    "/v2/autocomplete",
    "/api/v1/gifs/",
    "/v1/gifs/",
    "/gif/",
    "/rendition/",
    "/still/",
    "/",
)


def containers(data: bytes) -> None:
    """The readers of containers, which look at a file before a decoder does."""
    for read in (
        formats.media_suffix,
        formats.count_mp4_samples,
        formats.count_jpeg_scans,
        formats.check_png_chunks,
        formats.gif_standalone_frames,
        formats.webp_delays_ms,
        formats.loop_count,
        formats.is_only_extensions,
        *(lambda packet, codec=codec: formats.count_units(codec, b"", packet) for codec in CODECS),
    ):
        # `named_errors` makes a sentence of them.
        with suppress(MediaError, LookupError, ValueError, OSError, EOFError):
            read(data)


def media(data: bytes) -> None:
    """The decoders, in this process: `-timeout` and `-rss_limit_mb` see what they take."""
    with suppress(MediaError):
        read_media(data, 4, LIMITS)


def manifest(data: bytes) -> None:
    """The manifest of a bundle; what it names lies in the bundle."""
    (_folder() / MANIFEST).write_bytes(data)
    assert all(stays_inside(name) for name in owned_files(_folder()) or ())
    try:
        found = read_manifest(_folder())
    except BundleError:
        return
    assert all(stays_inside(name) for name in found.files)


def catalogue(data: bytes) -> None:
    """The catalogue of a bundle."""
    file = _folder() / "catalog.parquet"
    file.write_bytes(data)
    try:
        for record in read_catalog(file):
            assert isinstance(record.title, str)
    except DAMAGE:
        pass


def lists(data: bytes) -> None:
    """Lists of files and addresses; the first byte tells which kind."""
    file = _folder() / f"list{LISTS[data[0] % len(LISTS)] if data else '.txt'}"
    file.write_bytes(data[1:])
    try:
        for item in ListSource(file):
            assert item.url or item.path
    except SourceError:
        pass


def queries(data: bytes) -> None:
    """A search by a query string, over the starter library."""
    try:
        found = answer(parse_question(QueryParams(data.decode("latin-1"))), _starter())
    except (ProblemError, RetrievalError):
        return
    assert len({gif["id"] for gif in found["gifs"]}) == len(found["gifs"]) <= 120


def api(data: bytes) -> None:
    """A request to the API's server; the first byte tells where."""
    number = data[0] % len(ADDRESSES) if data else 0
    asked = quote(data[1:].decode("latin-1"), safe="/?&=%+,.")
    address = ADDRESSES[number] + (asked if ADDRESSES[number].endswith("/") else f"?{asked}")
    response = _client().get(address, follow_redirects=False)
    allowed = (HTTPStatus.SERVICE_UNAVAILABLE,)
    assert response.status_code < 500 or response.status_code in allowed, address
    assert str(ROOT) not in response.text and "Traceback" not in response.text, address


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (containers, media, manifest, catalogue, lists, queries, api)
}


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


@cache
def _starter() -> Searcher:
    return Searcher.open(STARTER)


@cache
def _client() -> TestClient:
    client = TestClient(create_app(), base_url="http://localhost", raise_server_exceptions=False)
    client.__enter__()  # loads the library
    while not client.get("/api/v1/state").json()["ready"]:
        pass
    return client

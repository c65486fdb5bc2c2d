"""Small good inputs of each target, made here."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from retrieval.library import Record
from retrieval.library.catalog import write_catalog
from retrieval.library.manifest import MANIFEST
from retrieval.media.films import encode_film
from retrieval.paths import STARTER
from tests.support.fuzz.targets import ADDRESSES, LISTS

SIDE = 24
QUERIES = (
    "q=I+got+the+job+%F0%9F%8E%89&limit=5",
    "q=%22no+way%22+-cat&not=sleep&not_weight=0.3&fold=0",
    "chat=any+news%3F%0AI+got+the+job&animated=1&min=0.2&offset=3",
    "browse=applause&tag=smile&license=MIT&lang=ko",
    "like=00ab&signals=names&signals=words&fusion=rrf&off=omg&only=yes",
    "surprise=7&limit=120&picture=abc&picture_weight=2&mine=def",
    "q=cat&limit=5&offset=2&rating=g&api_key=x&ids=a,b&pos=AAA&media_filter=gif,tinygif",
)


def seeds(target: str) -> list[bytes]:
    """Inputs that the target reads without a complaint."""
    if target in ("containers", "media"):
        return list(_media())
    if target == "manifest":
        return [_manifest(), b'{"written_by": "clip-reaction-search 1"}']
    if target == "catalogue":
        return [_catalogue()]
    if target == "lists":
        return [bytes([LISTS.index(kind)]) + data for kind, data in _lists()]
    if target == "queries":
        return [query.encode() for query in QUERIES]
    places = [bytes([number]) for number in range(len(ADDRESSES))]
    return [place + QUERIES[i % len(QUERIES)].encode() for i, place in enumerate(places)]


def _media() -> Iterator[bytes]:
    chance = np.random.default_rng(0)
    frames = [Image.fromarray(chance.integers(0, 256, (SIDE, SIDE, 3), np.uint8)) for _ in range(3)]
    for kind, options in (
        ("GIF", {"save_all": True, "append_images": frames[1:], "duration": 80, "loop": 0}),
        ("PNG", {"save_all": True, "append_images": frames[1:], "duration": 80}),
        ("PNG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {}),
        ("WEBP", {"save_all": True, "append_images": frames[1:], "duration": 80}),
        ("WEBP", {"lossless": True}),
    ):
        file = io.BytesIO()
        frames[0].save(file, kind, **options)
        yield file.getvalue()
    yield encode_film(frames, [0, 80, 160], 240, 30)
    for codec in ("libvpx", "libvpx-vp9"):
        yield _webm(frames, codec)


def _webm(frames: list[Image.Image], codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return file.getvalue()


def _manifest() -> bytes:
    """The starter's, of a few files."""
    described = json.loads((STARTER / MANIFEST).read_text(encoding="utf-8"))
    described["files"] = dict(list(described["files"].items())[:3])
    return json.dumps(described).encode()


def _catalogue() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "catalog.parquet"
        records = [Record("0" * 64, "a.gif", "a cat", ("cat",)), Record("1" * 64, "", "b")]
        write_catalog(records, file)
        return file.read_bytes()


def _lists() -> Iterator[tuple[str, bytes]]:
    rows = [{"url": "https://example.org/a.gif", "title": "a cat"}, {"path": "b.gif", "tags": "x"}]
    yield ".txt", b"# mine\na.gif\nhttps://example.org/b.gif\nfile:///tmp/c.gif\n"
    yield ".csv", b'path,title,tags\na.gif,"a, cat","x;y"\nb.gif,,\n'
    yield ".jsonl", b"\n".join(json.dumps(row).encode() for row in rows)
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    yield ".parquet", file.getvalue()

"""A folder of media to an index bundle.

One bad file never stops the build and never shifts its neighbours: it is reported
with its path and reason, and left out.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retrieval.bundle import MEDIA, Manifest, write_bundle
from retrieval.catalog import DESCRIBED, Record
from retrieval.embeddings import FrameEmbeddings
from retrieval.encoder import BATCH_SIZE, Encoder
from retrieval.errors import MediaError, SourceError
from retrieval.frames import DEFAULT_FRAMES, Limits, Media, read_bytes, read_media
from retrieval.items import title_of
from retrieval.sources import find_media, read_descriptions

# "mean" and "best_frame" are compared by scripts/evaluate.py; the README gives both.
DEFAULT_POOLING = "mean"

# What a source folder says about its files travels with them.
KEPT_BESIDE = ("metadata.jsonl", "metadata.csv", "LICENSE", "LICENSE.txt", "NOTICE", "NOTICE.txt")

Progress = Callable[[int, int], None]  # (files done, files in all)


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Item:
    """A file to be embedded: what it is called, where it is, what is known of it."""

    name: str
    source: Path | bytes
    uri: str
    described: Mapping[str, Any] = field(default_factory=dict)  # any of catalog.DESCRIBED


@dataclass(frozen=True)
class Embedded:
    """Aligned: `records[i]` comes of `items[i]`, and `embeddings` follow their order."""

    items: tuple[Item, ...]
    records: tuple[Record, ...]
    embeddings: FrameEmbeddings
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class BuildReport:
    """What went in, what was left out, and how fast it went."""

    n_gifs: int
    n_frames: int
    skipped: tuple[Skipped, ...]
    seconds: float

    @property
    def gifs_per_second(self) -> float:
        return self.n_gifs / self.seconds if self.seconds else 0.0


def build_index(
    source: Path,
    out: Path,
    encoder: Encoder,
    *,
    frames: int = DEFAULT_FRAMES,
    pooling: str = DEFAULT_POOLING,
    copy_media: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Index all media below `source` (walked recursively) into a bundle at `out`.

    At most `frames` distinct frames a GIF are embedded. With `copy_media` the files
    go into the bundle, which can then be moved; without, it points at them. Raises
    SourceError if there is nothing to index; the bundle at `out` is then untouched.
    """
    start = time.monotonic()
    paths = find_media(source)
    descriptions = read_descriptions(source)
    names = [path.relative_to(source).as_posix() for path in paths]
    items = [
        Item(
            name,
            path,
            uri=f"{MEDIA}/{name}" if copy_media else str(path.resolve()),
            described={"title": title_of(path.name), **descriptions.get(name, {})},
        )
        for name, path in zip(names, paths, strict=True)
    ]
    embedded = embed(items, encoder, frames=frames, limits=limits, progress=progress)
    if not embedded.records:
        raise SourceError(
            f"None of the {len(items)} files in {source} could be read; the first: "
            f"{embedded.skipped[0].path}: {embedded.skipped[0].reason}"
        )
    media_files: dict[str, Path] = {}
    if copy_media:
        kept = [*(item.name for item in embedded.items), *KEPT_BESIDE]
        media_files = {name: source / name for name in kept if (source / name).is_file()}
    manifest = Manifest(
        checkpoint=encoder.name,
        pretrained=encoder.pretrained,
        fingerprint=encoder.fingerprint,
        frames_per_gif=frames,
        pooling=pooling,
    )
    write_bundle(out, manifest, embedded.records, embedded.embeddings, media_files)
    return BuildReport(
        len(embedded.records),
        len(embedded.embeddings),
        embedded.skipped,
        time.monotonic() - start,
    )


def embed(
    items: Sequence[Item],
    encoder: Encoder,
    *,
    frames: int = DEFAULT_FRAMES,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Embedded:
    """Decode and encode the items, in order; batches are full across GIFs."""
    kept: list[Item] = []
    records: list[Record] = []
    skipped: list[Skipped] = []
    rows: list[tuple[str, int, int]] = []  # (gif id, frame index, time in ms)
    vectors: list[np.ndarray] = [np.zeros((0, encoder.dim), np.float32)]
    pending: list[Image.Image] = []
    first_of: dict[str, str] = {}
    for done, item in enumerate(items, 1):
        try:
            data = read_bytes(item.source, limits)
            media = read_media(data, frames, limits)
        except (MediaError, OSError) as error:
            skipped.append(Skipped(item.name, str(error)))
        else:
            gif_id = hashlib.sha256(data).hexdigest()
            if gif_id in first_of:
                skipped.append(Skipped(item.name, f"same bytes as {first_of[gif_id]}"))
            else:
                first_of[gif_id] = item.name
                kept.append(item)
                records.append(_record(gif_id, item, media))
                rows += [(gif_id, frame.index, frame.time_ms) for frame in media.frames]
                pending += [frame.image for frame in media.frames]
        if len(pending) >= BATCH_SIZE:
            vectors.append(encoder.encode_images(pending))
            pending.clear()
        if progress:
            progress(done, len(items))
    vectors.append(encoder.encode_images(pending))
    embeddings = FrameEmbeddings(
        gif_ids=np.array([gif_id for gif_id, _, _ in rows], dtype=str),
        frame_indices=np.array([index for _, index, _ in rows], np.int32),
        times_ms=np.array([time_ms for _, _, time_ms in rows], np.int32),
        vectors=np.concatenate(vectors),
    )
    return Embedded(tuple(kept), tuple(records), embeddings, tuple(skipped))


def _record(gif_id: str, item: Item, media: Media) -> Record:
    described = {"title": item.name, **item.described}
    return Record(
        id=gif_id,
        uri=item.uri,
        **{key: described[key] for key in DESCRIBED if key in described},
        n_frames=media.n_frames,
        duration_ms=media.duration_ms,
        width=media.width,
        height=media.height,
    )

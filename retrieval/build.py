"""A folder of media to an index bundle.

One bad file never stops the build and never shifts its neighbours: it is reported
with its path and reason, and left out.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from retrieval.bundle import MEDIA, Manifest, write_bundle
from retrieval.catalog import DESCRIBED, Record, read_descriptions
from retrieval.embeddings import FrameEmbeddings
from retrieval.encoder import BATCH_SIZE, Encoder
from retrieval.errors import MediaError, SourceError
from retrieval.frames import DEFAULT_FRAMES, SUFFIXES, Limits, Media, read_media

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
    skipped: list[Skipped] = []
    records: list[Record] = []
    kept_paths: list[Path] = []
    rows: list[tuple[str, int, int]] = []  # (gif id, frame index, time in ms)
    vectors: list[np.ndarray] = []
    pending: list[Image.Image] = []

    def encode_pending() -> None:
        vectors.append(encoder.encode_images(pending))
        pending.clear()

    for path, record, media in _decoded(paths, source, descriptions, frames, limits, skipped):
        records.append(record)
        kept_paths.append(path)
        for frame in media.frames:
            rows.append((record.id, frame.index, frame.time_ms))
            pending.append(frame.image)
        if len(pending) >= BATCH_SIZE:
            encode_pending()
        if progress:
            progress(len(records) + len(skipped), len(paths))
    if not records:
        raise SourceError(
            f"None of the {len(paths)} files in {source} could be read; the first: "
            f"{skipped[0].path}: {skipped[0].reason}"
        )
    encode_pending()
    if progress:
        progress(len(paths), len(paths))

    ids, indices, times = zip(*rows, strict=True)
    embeddings = FrameEmbeddings(
        np.array(ids),
        np.array(indices, np.int32),
        np.array(times, np.int32),
        np.concatenate(vectors),
    )
    media_files: dict[str, Path] = {}
    if copy_media:
        names = [path.relative_to(source).as_posix() for path in kept_paths]
        media_files = dict(zip(names, kept_paths, strict=True))
        records = [
            replace(record, uri=f"{MEDIA}/{name}")
            for record, name in zip(records, names, strict=True)
        ]
        media_files |= {name: source / name for name in KEPT_BESIDE if (source / name).is_file()}
    manifest = Manifest(
        checkpoint=encoder.name,
        pretrained=encoder.pretrained,
        fingerprint=encoder.fingerprint,
        dim=encoder.dim,
        frames_per_gif=frames,
        pooling=pooling,
        n_gifs=len(records),
        n_frames=len(rows),
        licenses={},
    )
    write_bundle(out, manifest, records, embeddings, media_files)
    return BuildReport(len(records), len(rows), tuple(skipped), time.monotonic() - start)


def find_media(source: Path) -> list[Path]:
    """All files below the folder that look like media by their suffix, in path order.

    Hidden files and folders are passed over.
    """
    if not source.is_dir():
        raise SourceError(f"{source} is no folder. Give a folder with GIFs in it.")
    found = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    if not found:
        raise SourceError(
            f"No media in {source}: expected files that end in {', '.join(SUFFIXES)}. "
            f"Give a folder with GIFs in it."
        )
    return found


def _decoded(
    paths: list[Path],
    source: Path,
    descriptions: dict[str, dict],
    frames: int,
    limits: Limits | None,
    skipped: list[Skipped],
) -> Iterator[tuple[Path, Record, Media]]:
    """Each readable file with its record; the others go to `skipped`."""
    first_of: dict[str, str] = {}
    for path in paths:
        name = path.relative_to(source).as_posix()
        try:
            media = read_media(path, frames, limits)
            gif_id = hashlib.sha256(path.read_bytes()).hexdigest()
        except (MediaError, OSError) as error:
            skipped.append(Skipped(name, str(error)))
            continue
        if gif_id in first_of:
            skipped.append(Skipped(name, f"same bytes as {first_of[gif_id]}"))
            continue
        first_of[gif_id] = name
        described = {"title": _title_of(path), **descriptions.get(name, {})}
        record = Record(
            id=gif_id,
            uri=str(path.resolve()),
            **{key: described[key] for key in DESCRIBED if key in described},
            n_frames=media.n_frames,
            duration_ms=media.duration_ms,
            width=media.width,
            height=media.height,
        )
        yield path, record, media


def _title_of(path: Path) -> str:
    return " ".join(path.stem.replace("_", " ").replace("-", " ").split()) or path.name

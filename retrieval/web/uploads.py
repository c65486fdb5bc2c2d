"""Uploaded files as a collection that can be searched: in memory, never stored.

One file is decoded at a time, so that a core stays free for searches. Visitors take turns file
by file, so that nobody waits for all the files of somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from retrieval.embedding import Pipeline, Progress, Skipped, Work
from retrieval.encoders import Encoder
from retrieval.errors import BundleError, MediaError, SourceError
from retrieval.library import (
    Catalog,
    FrameEmbeddings,
    GifFrames,
    Record,
    VectorIndex,
    gif_means,
    join,
)
from retrieval.media import Limits, Stop
from retrieval.search import Searcher
from retrieval.web.routes import png_of
from retrieval.web.settings import Settings
from retrieval.web.turns import Turn, Turns

UPLOAD_LIMITS = Limits(max_bytes=200_000_000)
TURNS = Turns(at_once=1, waiting=15)  # visitors: one is served, the others wait


@dataclass(frozen=True)
class Uploads:
    """Uploaded images and animations, embedded: a Collection that can be searched."""

    name: str
    records: Catalog
    embeddings: FrameEmbeddings
    index: VectorIndex
    fingerprint: str
    data: Mapping[str, bytes] = field(default_factory=dict)  # record id → the file's bytes
    skipped: Sequence[Skipped] = ()
    pooling: str = "mean"  # the index holds one row per GIF
    stills: dict[tuple[str, int], bytes] = field(default_factory=dict)  # that were shown

    def media_path(self, record: Record) -> str:
        return record.uri

    def still(self, record: Record, frame: int, stop: Stop, turns: Turns = TURNS) -> bytes:
        """One frame as PNG. BusyError if too many visitors wait."""
        key = (record.id, frame)
        if key not in self.stills:
            with turns.turn(stop):
                self.stills[key] = png_of(self.data[record.id], frame, stop)
        return self.stills[key]

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise BundleError unless the uploads were embedded with this encoder."""
        if encoder.fingerprint != self.fingerprint:
            raise BundleError("The uploads were read with another checkpoint. Upload them again.")


@dataclass(frozen=True)
class EmbeddedFile:
    """An uploaded file without its bytes."""

    record: Record
    frames: GifFrames

    @property
    def size_bytes(self) -> int:
        """Of memory, about."""
        return int(self.frames.vectors.nbytes) + 2_000


def check_uploads(n_files: int, n_bytes: int, max_files: int, max_total_mb: int) -> None:
    """Raise SourceError if a visitor's files are too many, or too large together."""
    if n_files > max_files:
        raise SourceError(f"{n_files} files were uploaded; at most {max_files} are ranked.")
    if n_bytes > max_total_mb * 1_000_000:
        raise SourceError(
            f"The files have {n_bytes / 1e6:,.0f} MB together; at most "
            f"{max_total_mb:,} MB are ranked. Take some out."
        )


def embed_file(
    name: str,
    data: bytes,
    encoder: Encoder,
    stop: Stop = lambda: False,
    turns: Turns = TURNS,
) -> EmbeddedFile:
    """Embed one file. MediaError if it cannot be read; BusyError, StoppedError as below."""
    with turns.turn(stop):
        pipeline = Pipeline(encoder, limits=UPLOAD_LIMITS, readers=1, decoders=1, stop=stop)
        (done,) = pipeline.run([Work(name, lambda: data)])
    if done.frames is None or done.facts is None:
        raise MediaError(f"{name} cannot be read: {done.error}")
    return EmbeddedFile(Record(done.gif_id, name, name, **vars(done.facts)), done.frames)


def collect(files: Sequence[EmbeddedFile], encoder: Encoder) -> Uploads:
    """Return embedded files as a collection that can be searched, in their order."""
    embeddings = join([file.frames for file in files], encoder.dim)
    means = np.concatenate(list(gif_means(embeddings.vectors, embeddings.starts())))
    return Uploads(
        name="your pictures",
        records=Catalog([file.record for file in files]),
        embeddings=embeddings,
        index=VectorIndex.build(means),
        fingerprint=encoder.fingerprint,
    )


def read_uploads(
    files: Sequence[tuple[str, bytes]],
    encoder: Encoder,
    progress: Progress | None = None,
    *,
    max_files: int = Settings.max_files,
    max_total_mb: int = Settings.max_total_mb,
    stop: Stop = lambda: False,
    turns: Turns = TURNS,
) -> Uploads:
    """Embed (name, bytes) pairs as a collection; unreadable files are listed in `skipped`.

    SourceError if there are too many, they are too large in total, or none can be read.
    BusyError if too many visitors wait. StoppedError soon after `stop`, which is called from
    other threads, returns True.
    """
    check_uploads(len(files), sum(len(data) for _, data in files), max_files, max_total_mb)
    embedded: list[EmbeddedFile] = []
    skipped: list[Skipped] = []
    kept: dict[str, tuple[str, bytes]] = {}
    with turns.turn(stop) as turn:
        # One thread reads and decodes: it takes the next file when it has finished one.
        pipeline = Pipeline(encoder, limits=UPLOAD_LIMITS, readers=1, decoders=1, stop=stop)
        work = [Work((name, data), partial(_in_turn, turn, data)) for name, data in files]
        for number, done in enumerate(pipeline.run(work), 1):
            name, data = done.subject
            if done.frames and done.facts and done.gif_id not in kept:
                kept[done.gif_id] = (name, data)
                record = Record(done.gif_id, name, name, **vars(done.facts))
                embedded.append(EmbeddedFile(record, done.frames))
            else:
                reason = str(done.error) if done.error else "the same bytes as another one"
                skipped.append(Skipped(name, reason))
            if progress:
                progress(number, len(files))
    if not embedded:
        reasons = "; ".join(f"{s.path}: {s.reason}" for s in skipped)
        raise SourceError(f"None of the uploaded files can be read: {reasons}")
    data_of = {gif_id: data for gif_id, (_, data) in kept.items()}
    return replace(collect(embedded, encoder), data=data_of, skipped=skipped)


def embed_upload(
    data: bytes, searcher: Searcher, stop: Stop = lambda: False, turns: Turns = TURNS
) -> np.ndarray:
    """Embed an uploaded picture (`Searcher.embed_image`). BusyError if too many visitors wait."""
    with turns.turn(stop):
        return searcher.embed_image(data, stop)


def _in_turn(turn: Turn, data: bytes) -> bytes:
    turn.pass_on()
    return data

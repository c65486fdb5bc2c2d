"""Uploaded files as a collection that can be searched: embeddings in memory, no pictures.

One file is worked on at a time, so that a message waits for the encoder no longer than necessary.
Visitors take turns file by file, so that nobody waits for all the files of somebody else, and an
expensive file lets the next one begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.embedding import Pipeline, Work
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
from retrieval.web.turns import Turns, server_sandbox

UPLOAD_LIMITS = Limits(max_bytes=200_000_000)
TURNS = Turns(at_once=1, waiting=15)  # visitors: one is served, the others wait
SANDBOX = server_sandbox()


@dataclass(frozen=True)
class Uploads:
    """A visitor's images and animations, embedded: a Collection that can be searched."""

    name: str
    records: Catalog
    embeddings: FrameEmbeddings
    index: VectorIndex
    fingerprint: str
    pooling: str = "mean"  # the index holds one row per GIF

    def media_path(self, record: Record) -> str:
        return record.uri

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
    """Embed one file. MediaError if it cannot be read; BusyError if too many
    visitors wait; StoppedError soon after `stop`, called from other threads, returns True."""
    with turns.turn(stop) as turn:
        pipeline = Pipeline(
            encoder, limits=UPLOAD_LIMITS, readers=1, decoders=1, stop=turn.stop, sandbox=SANDBOX
        )
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


def embed_upload(
    data: bytes, searcher: Searcher, stop: Stop = lambda: False, turns: Turns = TURNS
) -> np.ndarray:
    """Embed an uploaded picture (`Searcher.embed_image`). BusyError if too many visitors wait."""
    with turns.turn(stop) as turn:
        return searcher.embed_image(data, turn.stop, SANDBOX)

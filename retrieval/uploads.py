"""What a person uploads, searched like a library: in memory, never written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.build import DEFAULT_POOLING, Item, Progress, Skipped, embed
from retrieval.catalog import Record
from retrieval.embeddings import FrameEmbeddings
from retrieval.encoder import Encoder
from retrieval.errors import BundleError, SourceError
from retrieval.frames import Limits
from retrieval.index import VectorIndex

MAX_FILES = 100
MAX_TOTAL_BYTES = 500_000_000
LIMITS = Limits(max_bytes=200_000_000)


@dataclass(frozen=True)
class Uploads:
    """Uploaded pictures and animations, embedded; a Collection as search knows it."""

    name: str
    records: Sequence[Record]
    embeddings: FrameEmbeddings
    index: VectorIndex
    fingerprint: str
    data: Mapping[str, bytes]  # record id → the file's bytes
    skipped: Sequence[Skipped]
    pooling: str = DEFAULT_POOLING

    def media_path(self, record: Record) -> str:
        return record.uri

    def check_encoder(self, encoder: Encoder) -> None:
        """BundleError unless the uploads were embedded with this encoder."""
        if encoder.fingerprint != self.fingerprint:
            raise BundleError("The uploads were read with another checkpoint. Upload them again.")


def read_uploads(
    files: Sequence[tuple[str, bytes]], encoder: Encoder, progress: Progress | None = None
) -> Uploads:
    """The (name, bytes) pairs as a collection; unreadable ones are in `skipped`.

    SourceError if there are too many, they are too large together, or none can be read.
    """
    if len(files) > MAX_FILES:
        raise SourceError(f"{len(files)} files were uploaded; at most {MAX_FILES} are ranked.")
    total = sum(len(data) for _, data in files)
    if total > MAX_TOTAL_BYTES:
        raise SourceError(
            f"The files have {total / 1e6:,.0f} MB together; at most "
            f"{MAX_TOTAL_BYTES / 1e6:,.0f} MB are ranked. Take some out."
        )
    items = [Item(name, data, uri=name, described={"title": name}) for name, data in files]
    embedded = embed(items, encoder, limits=LIMITS, progress=progress)
    if not embedded.records:
        reasons = "; ".join(f"{s.path}: {s.reason}" for s in embedded.skipped)
        raise SourceError(f"None of the uploaded files can be read: {reasons}")
    return Uploads(
        name="your pictures",
        records=embedded.records,
        embeddings=embedded.embeddings,
        index=VectorIndex.build(embedded.embeddings.vectors),
        fingerprint=encoder.fingerprint,
        data={
            record.id: item.source
            for record, item in zip(embedded.records, embedded.items, strict=True)
            if isinstance(item.source, bytes)
        },
        skipped=embedded.skipped,
    )

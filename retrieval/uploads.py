"""What a person uploads, searched like a library: in memory, never written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from retrieval.build import DEFAULT_POOLING
from retrieval.catalog import Record
from retrieval.embeddings import FrameEmbeddings, GifFrames, join
from retrieval.encoder import Encoder
from retrieval.errors import BundleError, SourceError
from retrieval.frames import Limits
from retrieval.incremental import Progress
from retrieval.index import VectorIndex
from retrieval.pipeline import Pipeline, Work
from retrieval.report import Skipped
from retrieval.settings import Settings

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
    files: Sequence[tuple[str, bytes]],
    encoder: Encoder,
    progress: Progress | None = None,
    *,
    max_files: int = Settings.max_files,
    max_total_mb: int = Settings.max_total_mb,
) -> Uploads:
    """The (name, bytes) pairs as a collection; unreadable ones are in `skipped`.

    SourceError if there are too many, they are too large together, or none can be read.
    """
    if len(files) > max_files:
        raise SourceError(f"{len(files)} files were uploaded; at most {max_files} are ranked.")
    total = sum(len(data) for _, data in files)
    if total > max_total_mb * 1_000_000:
        raise SourceError(
            f"The files have {total / 1e6:,.0f} MB together; at most "
            f"{max_total_mb:,} MB are ranked. Take some out."
        )
    work = [Work((name, data), partial(bytes, data)) for name, data in files]
    records: list[Record] = []
    gifs: list[GifFrames] = []
    skipped: list[Skipped] = []
    kept: dict[str, tuple[str, bytes]] = {}
    for number, done in enumerate(Pipeline(encoder, limits=LIMITS).run(work), 1):
        name, data = done.subject
        if done.frames and done.facts and done.gif_id not in kept:
            kept[done.gif_id] = (name, data)
            gifs.append(done.frames)
            records.append(Record(done.gif_id, name, name, **asdict(done.facts)))
        else:
            reason = str(done.error) if done.error else "the same bytes as another one"
            skipped.append(Skipped(name, reason))
        if progress:
            progress(number, len(files))
    if not records:
        reasons = "; ".join(f"{s.path}: {s.reason}" for s in skipped)
        raise SourceError(f"None of the uploaded files can be read: {reasons}")
    embeddings = join(gifs, encoder.dim)
    return Uploads(
        name="your pictures",
        records=records,
        embeddings=embeddings,
        index=VectorIndex.build(embeddings.vectors),
        fingerprint=encoder.fingerprint,
        data={gif_id: data for gif_id, (_, data) in kept.items()},
        skipped=skipped,
    )

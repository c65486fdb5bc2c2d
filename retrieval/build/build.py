"""Build an index bundle from a source of media, incrementally.

    source → incremental run (pipeline, state) → embeddings → groups, index, catalogue, media

The old bundle at `out` remains in use until the new one is complete, and a killed build
resumes where it stopped. A bad file never stops the build or misaligns the rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from retrieval.build.folders import FolderSource, open_source
from retrieval.build.incremental import IncrementalRun
from retrieval.build.items import Source
from retrieval.build.leave_out import LeaveOut
from retrieval.build.previous import PreviousBuild
from retrieval.build.report import BuildReport
from retrieval.build.state import BuildState
from retrieval.embedding import Progress, Skipped
from retrieval.encoders import Encoder, sentence_encoder
from retrieval.errors import OutputError, SourceError
from retrieval.library import (
    DEFAULT_POOLING,
    DESCRIBED,
    MEDIA,
    SIGNALS,
    BundleWriter,
    Manifest,
    Record,
    check_signals,
    group,
    owned_files,
    register_build,
)
from retrieval.media import DEFAULT_FRAMES, Limits, media_suffix
from retrieval.ocr import TextReader
from retrieval.output import check_replaceable, free_path, recover, resolve_output, storage_errors
from retrieval.signals import Measured, write_signals

# Metadata and licences of a source folder are copied with its media.
KEPT_BESIDE = ("metadata.jsonl", "metadata.csv", "LICENSE", "LICENSE.txt", "NOTICE", "NOTICE.txt")
METADATA = "metadata.jsonl"


def build_index(
    source: Source | Path | str,
    out: Path,
    encoder: Encoder,
    *,
    frames: int = DEFAULT_FRAMES,
    pooling: str = DEFAULT_POOLING,
    copy_media: bool = False,
    limits: Limits | None = None,
    index_kind: str = "auto",
    fresh: bool = False,
    progress: Progress | None = None,
    signals: Collection[str] = SIGNALS,
    ocr_model: Path | None = None,
    leave_out: LeaveOut | None = None,
    allow_private_addresses: bool = False,
) -> BuildReport:
    """Index a source (see retrieval.build.folders) into a bundle at `out`.

    `out` is a path that does not exist, an empty folder, or a bundle: that is replaced, and
    files in it that are not the bundle's stay. OutputError for anything else, before any work
    is done. At most `frames` distinct frames per GIF are embedded. With `copy_media` the files
    are copied into the bundle, which can then be moved; otherwise it refers to them. `fresh`
    embeds everything again. With "words" in `signals`, the words in the pictures are read, by the
    recogniser in `ocr_model` if it is given. What `leave_out` names is not indexed. Files are
    fetched from public addresses only, or with `allow_private_addresses` from any. ValueError
    for unknown signals, CheckpointError if a model of the reader is missing, SourceError if there
    is nothing to index, StorageError if `out` cannot be written; the old bundle is then untouched.
    """
    start = time.monotonic()
    limits = limits or Limits()
    signals = check_signals(signals)
    reader = partial(TextReader, ocr_model) if "words" in signals else None
    text_reader = reader().version if reader else ""
    if not isinstance(source, Source):
        source = open_source(source)
    out = check_output(out, source, copy_media=copy_media)
    settings = {
        "fingerprint": encoder.fingerprint,
        "precision": encoder.precision,
        "frames": frames,
        "limits": asdict(limits),
        "text_reader": text_reader,
    }
    with storage_errors(out), BuildState(out, settings, fresh=fresh) as state:
        recover(out, owned_files)
        previous = (
            PreviousBuild() if fresh else PreviousBuild.read(out, encoder, frames, text_reader)
        )
        run = IncrementalRun(
            source,
            encoder,
            state,
            previous,
            frames,
            limits,
            copy_media,
            reader,
            leave_out,
            allow_private_addresses,
        )
        run.run(progress)
        ids = run.in_order()
        if not ids:
            first = "".join(f"; the first: {s.path}: {s.reason}" for s in run.skipped[:1])
            raise SourceError(
                f"None of the {len(run.skipped)} files in {source.label} could be read{first}"
            )
        writing = time.monotonic()
        with BundleWriter(out, encoder.dim, kept=_folder_inside(source, out)) as writer:
            vectors, starts = writer.write_embeddings(
                state.frames_of(gif_id, previous.store) for gif_id in ids
            )
            groups = previous.groups_of(ids)
            if groups is None or run.embedded:
                groups = group(vectors, starts)
            plan = writer.write_index(index_kind, pooling)
            records = list(_records(run, ids, groups, copy_media))
            writer.write_catalog(records)
            facts = {}
            if set(signals) > {"frames"}:
                facts = previous.copy_signals(records, signals, writer.folder) or write_signals(
                    writer.folder,
                    records,
                    writer.means(),
                    encoder,
                    sentence_encoder(encoder),
                    signals,
                    previous.sentences(),
                )
            if copy_media:
                _copy_media(writer, records, run, state.folder, source)
            elif lost := next((r for r in records if Path(r.uri).is_relative_to(out)), None):
                raise _takes_source_away(lost.places[0], out)
            n_near = int((groups != np.arange(len(ids))).sum())
            manifest = writer.finish(
                Manifest(
                    checkpoint=encoder.checkpoint.model,
                    pretrained=encoder.checkpoint.tag,
                    fingerprint=encoder.fingerprint,
                    frames_per_gif=frames,
                    pooling=pooling,
                    precision=encoder.precision,
                    source=source.label,
                    n_near_duplicates=n_near,
                    signals=signals,
                    text_reader=text_reader,
                    signal_facts=facts,
                )
            )
        state.finish(run.keys)
    notes = [*state.notes, *previous.notes, *run.notes, *_unread_note(run.unread)]
    notes += register_build(out, manifest, records, getattr(source, "folder", None))
    return BuildReport(
        source=source.label,
        out=out.name,
        checkpoint=encoder.label,
        precision=encoder.precision,
        n_gifs=len(ids),
        n_frames=manifest.n_frames,
        n_embedded=len(run.embedded),
        n_gone=len(previous.records.keys() - run.first.keys()),
        n_places=sum(len(record.places) for record in records),
        groups=tuple(_groups(records)),
        licenses=manifest.licenses,
        skipped=tuple(run.skipped),
        notes=tuple(notes),
        index=plan.reason,
        seconds=time.monotonic() - start,
        write_seconds=time.monotonic() - writing,
        n_pictures=run.pipeline.n_pictures,
        stages=run.pipeline.timings,
        precision_reason=encoder.precision_note,
        measured=Measured(**facts["measured"]).sentence(encoder.label) if facts else "",
        reads_words="words" in signals,
        n_with_words=sum(bool(record.texts) for record in records),
        n_texts=sum(len(record.texts) for record in records),
    )


def check_output(out: Path, source: Source, *, copy_media: bool) -> Path:
    """The absolute path of the bundle to write, if it may be written there.

    A bundle inside the source folder is excluded from the source. OutputError if `out` is not
    a bundle, or if the source is, or lies inside, the bundle that would be replaced.
    """
    resolved = resolve_output(out)
    if isinstance(source, FolderSource):
        folder = source.folder.resolve()
        if folder == resolved:
            raise OutputError(
                f"{out} is the source itself, which a build never writes to. Name another folder "
                f"for the bundle: --out {free_path(out)}"
            )
        if resolved.is_relative_to(folder):
            source.excluded = resolved.relative_to(folder).as_posix()
    check_replaceable(resolved, owned_files, "an index bundle")
    if _folder_inside(source, resolved) and not copy_media:
        raise _takes_source_away(str(source.label), out)
    return resolved


def _folder_inside(source: Source, out: Path) -> Path | None:
    """The source folder, if it lies inside the bundle at `out`."""
    folder = source.folder.resolve() if isinstance(source, FolderSource) else None
    return folder if folder and folder.is_relative_to(out) else None


def _takes_source_away(what: str, out: Path) -> OutputError:
    return OutputError(
        f"{what} lies inside {out}, where it would be lost when the bundle is replaced. Copy the "
        f"files into the new one (--copy-media), or name another --out."
    )


def _records(
    run: IncrementalRun, ids: list[str], groups: np.ndarray, copy_media: bool
) -> Iterator[Record]:
    taken: set[str] = set()
    for gif_id, leader in zip(ids, groups.tolist(), strict=True):
        _, item = run.first[gif_id]
        described = {"title": item.name, **item.described}
        uri = item.uri
        if copy_media:
            name, parts = item.name, PurePosixPath(item.name).parts
            is_plain = PurePosixPath(name).suffix and "://" not in name
            if name in taken or not is_plain or {"/", ".."} & set(parts):
                file = run.media_of(gif_id)  # an address may have no suffix
                suffix = item.suffix or (media_suffix(file.read_bytes()) if file else "")
                name = gif_id[:16] + suffix
            taken.add(name)
            uri = f"{MEDIA}/{name}"
        yield Record(
            id=gif_id,
            uri=uri,
            **{key: described[key] for key in DESCRIBED if key in described},
            **vars(run.facts[gif_id]),
            places=tuple(name for _, name in sorted(run.places[gif_id])),
            group=leader,
        )


def _unread_note(unread: list[Skipped]) -> Iterator[str]:
    if unread:
        first = unread[0]
        yield (
            f"The words in {len(unread):,} GIFs could not be read, which are indexed without them; "
            f"the first: {first.path}: {first.reason}."
        )


def _copy_media(
    writer: BundleWriter,
    records: list[Record],
    run: IncrementalRun,
    work: Path,
    source: Source,
) -> None:
    """Copy the media and their metadata into the new bundle, which can serve as a source."""
    for record in records:
        name = record.uri.removeprefix(f"{MEDIA}/")
        file = run.media_of(record.id) or run.first[record.id][1].path
        if file is None or not file.is_file():
            raise SourceError(f"{record.places[0]} is no longer there. Run it again.")
        writer.add_media(name, file, record.id)
    if isinstance(source, FolderSource):
        for name in KEPT_BESIDE:
            if (source.folder / name).is_file():
                writer.add_media(name, source.folder / name)
    else:
        described = work / METADATA
        with described.open("w", encoding="utf-8") as rows:
            for record in records:
                row = {"file_name": record.uri.removeprefix(f"{MEDIA}/")}
                row |= {key: value for key in DESCRIBED if (value := getattr(record, key))}
                rows.write(json.dumps(row, ensure_ascii=False) + "\n")
        writer.add_media(METADATA, described)
        described.unlink()


def _groups(records: list[Record]) -> Iterator[tuple[str, ...]]:
    """Groups of near-duplicates, each as a tuple of the GIFs' first places."""
    members: dict[int, list[str]] = {}
    for record in records:
        members.setdefault(record.group, []).append(record.places[0])
    return (tuple(names) for names in members.values() if len(names) > 1)

"""What became of every item of a source: embedded now, known from before, or left out.

The unit of work is a file's content (its SHA-256) under the encoder's fingerprint, its
precision and the frame settings. What the last build embedded is taken from its bundle,
what a build that was killed had embedded from the journal beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from retrieval.bundle import CATALOG, EMBEDDINGS, MEDIA, read_manifest
from retrieval.catalog import Facts, Record, read_catalog
from retrieval.downloads import Downloader
from retrieval.embeddings import GifFrames, ShardStore, shards_in
from retrieval.encoder import Encoder
from retrieval.errors import BundleError, MediaError, SilentHostError, UnavailableError
from retrieval.frames import Limits, read_bytes
from retrieval.items import Item, Source
from retrieval.journal import Journal, Seen, version_of
from retrieval.pipeline import WORKERS, Done, Pipeline, Work
from retrieval.report import Skipped
from retrieval.sources import FolderSource

DOWNLOAD_WORKERS = 8  # they mostly wait; two at a time are let through to one server

Progress = Callable[[int, "int | None"], None]  # (files done, files in all, if that is known)


@dataclass
class Earlier:
    """What the bundle of the last build has that can be used again."""

    folder: Path | None = None  # of the bundle, if there is one
    store: ShardStore = field(default_factory=ShardStore)
    records: dict[str, Record] = field(default_factory=dict)  # by id
    notes: list[str] = field(default_factory=list)  # what a person should know, in sentences

    @classmethod
    def read(cls, out: Path, encoder: Encoder, frames: int) -> Earlier:
        """Of the bundle at `out`, if it was embedded the same way; else a note says why not."""
        earlier = cls()
        if not out.exists():
            return earlier
        earlier.folder = out
        try:
            manifest = read_manifest(out)
            earlier.records = {record.id: record for record in read_catalog(out / CATALOG)}
            changed = [
                f"{what} ({before} before, {now} now)"
                for what, before, now in (
                    ("checkpoint", manifest.checkpoint_label, encoder.label),
                    ("precision", manifest.precision, encoder.precision),
                    ("number of frames", manifest.frames_per_gif, frames),
                )
                if before != now
            ]
            if manifest.fingerprint != encoder.fingerprint and manifest.checkpoint == encoder.name:
                changed.append(f"fingerprint of {encoder.label}'s weights")
            if changed:
                earlier.notes.append(f"Everything is embedded again: another {', '.join(changed)}.")
                return earlier
            for shard in shards_in(out / EMBEDDINGS):
                earlier.store.add(shard)
        except (BundleError, OSError, ValueError, KeyError) as error:
            reason = str(error).partition(". ")[0]
            earlier.notes.append(f"Everything is embedded again: {reason}.")
            earlier.store = ShardStore()
        return earlier

    def media_of(self, gif_id: str) -> Path | None:
        """The GIF's file in the bundle, if it was copied there."""
        record = self.records.get(gif_id)
        if self.folder is None or record is None or not record.uri.startswith(f"{MEDIA}/"):
            return None
        file = self.folder / record.uri
        return file if file.is_file() else None

    def groups_of(self, ids: Sequence[str]) -> np.ndarray | None:
        """The near-duplicate groups of the last build, if it was of just these GIFs."""
        if list(self.records) != list(ids) or not all(gif_id in self.store for gif_id in ids):
            return None
        return np.array([record.group for record in self.records.values()], np.int64)


@dataclass
class Task:
    """An item on its way, and the version of it that is worked on."""

    number: int  # place in the source
    item: Item
    seen: Seen | None  # what is known of it from before
    size_bytes: int = -1
    changed_ns: int = -1
    etag: str = ""
    last_modified: str = ""

    @property
    def key(self) -> str:
        return self.item.uri or self.item.name

    def is_as_before(self) -> bool:
        """Whether a file has the size and time of change that it had when it was seen."""
        seen = self.seen
        return (
            seen is not None
            and self.changed_ns >= 0
            and (seen.size_bytes, seen.changed_ns) == (self.size_bytes, self.changed_ns)
        )


class IncrementalRun:
    """Brings every item of a source to an embedding, or to a reason why it has none."""

    def __init__(
        self,
        source: Source,
        encoder: Encoder,
        journal: Journal,
        earlier: Earlier,
        *,
        frames: int,
        limits: Limits,
        keep_downloads: bool,
    ):
        self._source, self._journal, self._earlier = source, journal, earlier
        self._limits, self._keep_downloads = limits, keep_downloads
        self._downloader = Downloader(max_bytes=limits.max_bytes)
        local = isinstance(source, FolderSource)
        self.pipeline = Pipeline(
            encoder,
            frames=frames,
            limits=limits,
            readers=WORKERS if local else DOWNLOAD_WORKERS,
            pad=True,
        )
        self.skipped: list[Skipped] = []  # in the order of the source
        self._left_out: list[tuple[int, Skipped]] = []  # by the item's place in it
        self.notes: list[str] = []
        self.embedded: set[str] = set()  # ids that were embedded in this run
        self.first: dict[str, Task] = {}  # id → the first item with these bytes
        self.places: dict[str, list[tuple[int, str]]] = {}  # id → (number, name) of all
        self.keys: list[str] = []  # of all items
        self.facts: dict[str, Facts] = {
            record.id: Facts(record.n_frames, record.duration_ms, record.width, record.height)
            for record in earlier.records.values()
            if record.id in earlier.store
        }
        for seen in journal.seen.values():
            if seen.n_frames and seen.gif_id in journal.unfinished:
                self.facts[seen.gif_id] = seen.facts
        self._undecided: list[tuple[Task, str]] = []
        self._postponed: list[Task] = []  # of hosts that did not answer, for the end
        self._reasons: dict[str, str] = {}  # id → why these bytes cannot be embedded
        self._n_done = 0

    def run(self, progress: Progress | None = None) -> None:
        """Go through the source once; SourceError if it fails on the way."""
        total = self._source.total()
        self._step = lambda: progress(self._n_done, total) if progress else None
        with self._downloader:
            for done in self.pipeline.run(self._work(), self._is_known):
                if isinstance(done.error, SilentHostError):
                    self._postponed.append(done.subject)
                    continue
                self._note(done)
                self._count()
            last = (self._work_of(task, last=True) for task in self._postponed)
            for done in self.pipeline.run(last, self._is_known):
                self._note(done)
                self._count()
        for task, gif_id in self._undecided:
            if gif_id in self.facts:
                self._resolve(task, gif_id)
            else:
                self._leave_out(task, MediaError(self._reasons[gif_id]), gif_id)
        self._journal.flush()
        in_order = sorted(self._left_out, key=lambda left_out: left_out[0])
        self.skipped = [skipped for _, skipped in in_order]
        self.skipped += [Skipped(row.where, row.reason) for row in self._source.left_out]
        unlisted = self._source.n_left_out - len(self._source.left_out)
        if unlisted:
            self.skipped.append(Skipped(self._source.label, f"and {unlisted:,} more rows"))

    def in_order(self) -> list[str]:
        """The ids of all GIFs, in the order of the source."""
        return sorted(self.first, key=lambda gif_id: self.first[gif_id].number)

    def frames_of(self, gif_id: str) -> GifFrames:
        """A GIF's embeddings, wherever they lie."""
        unfinished = self._journal.unfinished
        return unfinished[gif_id] if gif_id in unfinished else self._earlier.store[gif_id]

    def media_of(self, gif_id: str) -> Path | None:
        """A file with these bytes, in the last build's bundle or kept of a download."""
        kept = self._journal.download(gif_id)
        return self._earlier.media_of(gif_id) or (kept if kept.is_file() else None)

    def _is_enough(self, seen: Seen | None) -> bool:
        """Whether an address that has not changed since need not be downloaded again."""
        return (
            seen is not None
            and self._is_known(seen.gif_id)
            and (not self._keep_downloads or self.media_of(seen.gif_id) is not None)
        )

    def _is_known(self, gif_id: str) -> bool:
        facts = self.facts.get(gif_id)
        return facts is not None and self._limits.allow(facts)

    def _work(self) -> Iterator[Work[Task]]:
        """What needs work; the rest is noted on the way."""
        for number, item in enumerate(self._source):
            task = Task(number, item, self._journal.seen.get(item.uri or item.name))
            self.keys.append(task.key)
            if item.path:
                with suppress(OSError):  # reading it will say why
                    task.size_bytes, task.changed_ns = version_of(item.path)
            if task.seen and task.is_as_before():
                if task.seen.reason:
                    self._left_out.append((number, Skipped(item.name, task.seen.reason)))
                    self._count()
                    continue
                if self._is_known(task.seen.gif_id):
                    self._resolve(task, task.seen.gif_id)
                    self._count()
                    continue
            yield self._work_of(task)

    def _work_of(self, task: Task, *, last: bool = False) -> Work[Task]:
        kept = self._keep_downloads and not task.item.path
        keep = self._journal.keep_download if kept else None
        return Work(task, partial(self._read, task, last), keep)

    def _count(self) -> None:
        self._n_done += 1
        self._step()

    def _read(self, task: Task, last: bool) -> bytes | str:
        """The item's bytes, or the id of those that it still has; in a worker thread."""
        item = task.item
        if item.path:
            return read_bytes(item.path, self._limits)
        if item.url:
            seen = task.seen if self._is_enough(task.seen) else None
            seen = seen or Seen(task.key)
            fetched = self._downloader.fetch(item.url, seen.etag, seen.last_modified, last=last)
            task.etag, task.last_modified = fetched.etag, fetched.last_modified
            if fetched.data is None:
                return seen.gif_id
            return fetched.data
        return item.data or b""

    def _note(self, done: Done[Task]) -> None:
        task = done.subject
        if done.error:
            before = task.seen.gif_id if task.seen else ""
            if isinstance(done.error, UnavailableError) and self._is_enough(task.seen):
                self.notes.append(f"{task.item.name} is kept as it was: {done.error}.")
                self._resolve(task, before)
            else:
                self._leave_out(task, done.error, done.gif_id)
        elif done.frames and done.facts and done.gif_id not in self.embedded:
            self.facts[done.gif_id] = done.facts
            self.embedded.add(done.gif_id)
            self._journal.add(self._seen(task, done.gif_id), done.frames)
            self._resolve(task, done.gif_id)
        elif self._is_known(done.gif_id):
            self._journal.add(self._seen(task, done.gif_id))
            self._resolve(task, done.gif_id)
        else:  # the same bytes are being worked on in another place
            self._undecided.append((task, done.gif_id))

    def _resolve(self, task: Task, gif_id: str) -> None:
        known = self.first.get(gif_id)
        if known is None or task.number < known.number:
            # a row's bytes are not needed any more, and all rows' may be more than fits
            lean = replace(task.item, data=b"") if task.item.data else task.item
            self.first[gif_id] = replace(task, item=lean, seen=None)
        self.places.setdefault(gif_id, []).append((task.number, task.item.name))

    def _leave_out(self, task: Task, error: MediaError, gif_id: str) -> None:
        self._reasons[gif_id] = str(error)
        self._left_out.append((task.number, Skipped(task.item.name, str(error))))
        if not isinstance(error, UnavailableError):
            self._journal.add(self._seen(task, gif_id, str(error)))

    def _seen(self, task: Task, gif_id: str, reason: str = "") -> Seen:
        return Seen(
            task.key,
            gif_id,
            reason,
            task.size_bytes,
            task.changed_ns,
            task.etag,
            task.last_modified,
            **({} if reason else asdict(self.facts[gif_id])),
        )

"""What became of every item of a source: embedded now, known from before, or left out.

The unit of work is a file's content (its SHA-256) under the encoder's fingerprint, its
precision and the frame settings. What the last build embedded is taken from its bundle,
what a build that was killed had embedded from the journal beside it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

import numpy as np

from retrieval.build.downloads import Downloader, Fetched
from retrieval.build.folders import FolderSource
from retrieval.build.items import Item, Source
from retrieval.build.state import MAX_NAMED, Journal, Seen, version_of
from retrieval.embedding import WORKERS, Done, Pipeline, Progress, Skipped, Work
from retrieval.encoders import Encoder
from retrieval.errors import BundleError, MediaError, SilentHostError, UnavailableError, reason_of
from retrieval.hub import check_sha256, sha256_of
from retrieval.library import (
    CATALOG,
    EMBEDDINGS,
    MEDIA,
    OLDEST_REUSABLE,
    GifFrames,
    Manifest,
    Record,
    ShardStore,
    read_catalog,
    read_manifest,
)
from retrieval.media import Facts, Limits, read_bytes

DOWNLOAD_WORKERS = 8  # they mostly wait; two at a time are let through to one server


@dataclass
class Earlier:
    """What the bundle of the last build has that can be used again."""

    folder: Path | None = None  # of the bundle, if there is one
    store: ShardStore = field(default_factory=ShardStore)
    records: dict[str, Record] = field(default_factory=dict)  # by id
    notes: list[str] = field(default_factory=list)  # what a person should know, in sentences
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _media: dict[str, str] | None = None  # name in media/ → SHA-256 of what is there now
    _copies: dict[str, str] = field(default_factory=dict)  # the other way round

    @classmethod
    def read(cls, out: Path, encoder: Encoder, frames: int) -> Earlier:
        """Of the bundle at `out`, if it was embedded the same way; else a note says why not.

        Each file is checked by the hash in the manifest first, and one that is not what was
        written is not used.
        """
        earlier = cls(store=ShardStore(encoder.dim))
        if not out.exists():
            return earlier
        earlier.folder = out
        try:
            manifest = read_manifest(out, oldest=OLDEST_REUSABLE)
            _check(out, CATALOG, manifest)
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
            same = manifest.checkpoint == encoder.checkpoint.model
            if same and manifest.fingerprint != encoder.fingerprint:
                changed.append(f"fingerprint of {encoder.label}'s weights")
            if changed:
                earlier.notes.append(f"Everything is embedded again: another {', '.join(changed)}.")
                return earlier
        except (BundleError, OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, BundleError) else _as_damage(CATALOG, error)
            earlier.notes.append(f"Everything is embedded again: {reason.partition('. ')[0]}.")
            return earlier
        earlier._read_shards(manifest)
        return earlier

    def _read_shards(self, manifest: Manifest) -> None:
        """Take in the shards that are as they were written; a note names the others."""
        assert self.folder is not None
        damaged = []
        for name in sorted(n for n in manifest.files if n.startswith(f"{EMBEDDINGS}/")):
            try:
                _check(self.folder, name, manifest)
                self.store.add(self.folder / name)
            except (OSError, ValueError, KeyError) as error:
                damaged.append(_as_damage(name, error))
        n_lost = sum(gif_id not in self.store for gif_id in self.records)
        if n_lost or damaged:
            named = _listed(damaged or ["its manifest names no file that holds them"], "; ")
            n = f"{n_lost:,} of {len(self.records):,} GIFs are"
            again = "everything is" if n_lost == len(self.records) else n
            self.notes.append(
                f"{self.folder.name}: its embeddings are damaged ({named}), {again} embedded again."
            )

    def media_of(self, gif_id: str) -> Path | None:
        """A file with just these bytes in the bundle's media/, if there is one."""
        self._hash_media()
        name = self._copies.get(gif_id)
        return self.folder / MEDIA / name if self.folder and name else None

    def is_damaged(self, file: Path, gif_id: str) -> bool:
        """Whether a file of the bundle's media/ is no longer that GIF; False for any other."""
        for folder in self._media_folders:
            if file.is_relative_to(folder):
                return self._hash_media().get(file.relative_to(folder).as_posix()) != gif_id
        return False

    @cached_property
    def _media_folders(self) -> tuple[Path, ...]:
        """The bundle's media/ under the names that a source may have for it."""
        if self.folder is None:
            return ()
        media = self.folder / MEDIA
        return Path(os.path.realpath(media)), media  # Path.resolve raises at a link to itself

    def _hash_media(self) -> dict[str, str]:
        """The SHA-256 of each file in media/, by name: about a second a gigabyte, once."""
        with self._lock:
            if self._media is None:
                self._media = {}
                if self.folder is not None:
                    self._media = _hash_files(self.folder / MEDIA)
                self._copies = {sha256: name for name, sha256 in self._media.items()}
                self._note_damaged_media(self._media)
        return self._media

    def _note_damaged_media(self, hashes: Mapping[str, str]) -> None:
        changed = [
            name
            for record in self.records.values()
            if record.uri.startswith(f"{MEDIA}/")
            and (name := record.uri.removeprefix(f"{MEDIA}/")) in hashes
            and hashes[name] != record.id
        ]
        if changed and self.folder:
            self.notes.append(
                f"{self.folder.name}: {len(changed):,} of its media files are not what was "
                f"written ({_listed(changed)}), and are taken from the source again."
            )

    def seen_at(self, address: str) -> Seen | None:
        """What the bundle itself knows of an address, where the journal was lost."""
        gif_id = self._ids_by_address.get(address)
        return Seen(address, gif_id) if gif_id else None

    @cached_property
    def _ids_by_address(self) -> dict[str, str]:
        return {
            place: record.id
            for record in self.records.values()
            for place in record.places
            if "://" in place
        }

    def groups_of(self, ids: Sequence[str]) -> np.ndarray | None:
        """The near-duplicate groups of the last build, if it was of just these GIFs."""
        if list(self.records) != list(ids) or not all(gif_id in self.store for gif_id in ids):
            return None
        return np.array([record.group for record in self.records.values()], np.int64)


def _check(bundle: Path, name: str, manifest: Manifest) -> None:
    """ValueError or OSError unless the file has the hash that the manifest says."""
    if name not in manifest.files:
        raise ValueError("not named in the manifest")
    check_sha256(bundle / name, manifest.files[name]["sha256"])


def _as_damage(name: str, error: Exception) -> str:
    what = f"cannot be read ({reason_of(error)})" if isinstance(error, OSError) else f"is {error}"
    return f"{PurePosixPath(name).name} {what}"


def _listed(names: Sequence[str], separator: str = ", ") -> str:
    """The first few of them, and how many more there are."""
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return separator.join(names[:MAX_NAMED]) + more


def _hash_files(folder: Path) -> dict[str, str]:
    """Name → SHA-256 of the regular files below that can be read."""

    def sha256(file: Path) -> str:
        with suppress(OSError):
            return sha256_of(file)
        return ""

    files = [file for file in sorted(folder.rglob("*"), reverse=True) if file.is_file()]
    names = [file.relative_to(folder).as_posix() for file in files]
    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip(names, pool.map(sha256, files), strict=True))


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
        return self._earlier.media_of(gif_id) or self._journal.download(gif_id)

    def _is_enough(self, seen: Seen | None) -> bool:
        """Whether an address that has not changed since need not be downloaded again."""
        if seen is None or not seen.gif_id:
            return False
        if self._is_known(seen.gif_id) and not self._keep_downloads:
            return True
        return self.media_of(seen.gif_id) is not None

    def _is_known(self, gif_id: str) -> bool:
        facts = self.facts.get(gif_id)
        return facts is not None and self._limits.allow(facts)

    def _work(self) -> Iterator[Work[Task]]:
        """What needs work; the rest is noted on the way."""
        for number, item in enumerate(self._source):
            seen = self._journal.seen.get(item.uri or item.name)
            if seen is None and item.url:
                seen = self._earlier.seen_at(item.name)
            task = Task(number, item, seen)
            self.keys.append(task.key)
            if item.path:
                with suppress(OSError):  # reading it will say why
                    task.size_bytes, task.changed_ns = version_of(item.path)
            if task.seen and task.is_as_before() and not self._is_damaged(task):
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

    def _is_damaged(self, task: Task) -> bool:
        """Whether a file of the last bundle itself has other bytes, unchanged as it looks."""
        path, seen = task.item.path, task.seen
        if path is None or seen is None or not seen.gif_id:
            return False
        return self._earlier.is_damaged(path, seen.gif_id)

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
            try:
                fetched = self._downloader.fetch(item.url, seen.etag, seen.last_modified, last=last)
            except SilentHostError:
                raise
            except UnavailableError as error:
                if not seen.gif_id or self._is_known(seen.gif_id):
                    raise
                fetched = Fetched(None, seen.etag, seen.last_modified)
                self.notes.append(f"{item.name} is embedded from its copy: {error}.")
            task.etag, task.last_modified = fetched.etag, fetched.last_modified
            if fetched.data is not None:
                return fetched.data
            if self._is_known(seen.gif_id):
                return seen.gif_id
            # the embeddings are lost, but not the copy, or else nothing was `enough`
            copy = self.media_of(seen.gif_id)
            assert copy is not None
            return read_bytes(copy, self._limits)
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

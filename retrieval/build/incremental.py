"""Bring every item of a source to embeddings: computed now, known from before, or skipped.

The unit of work is a file's content (its SHA-256) under the encoder's fingerprint, its
precision, the frame settings and the reader of words. Known embeddings are in the bundle of the
last build, or in the state of a build that did not finish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from retrieval.build.downloads import Downloader, Fetched
from retrieval.build.folders import FolderSource
from retrieval.build.items import Item, Source, listed
from retrieval.build.leave_out import LeaveOut
from retrieval.build.previous import PreviousBuild
from retrieval.build.state import BuildState, FileState, version_of
from retrieval.embedding import WORKERS, Done, Pipeline, Progress, Skipped, Work
from retrieval.encoders import Encoder
from retrieval.errors import MediaError, SilentHostError, UnavailableError
from retrieval.media import Facts, Limits, read_bytes
from retrieval.ocr import TextReader

MAX_UNMATCHED = 5  # lines of --leave-out that a note lists
DOWNLOAD_WORKERS = 8  # they mostly wait; one server gets two requests at a time


@dataclass
class Task:
    """An item being worked on."""

    number: int  # place in the source
    item: Item
    known: FileState | None  # from an earlier build
    state: FileState  # its current version, as far as it is known, without an outcome


class IncrementalRun:
    """One pass over a source; afterwards its attributes hold the outcome of every item."""

    def __init__(
        self,
        source: Source,
        encoder: Encoder,
        state: BuildState,
        previous: PreviousBuild,
        frames: int,
        limits: Limits,
        keep_downloads: bool,
        reader: Callable[[], TextReader] | None = None,
        leave_out: LeaveOut | None = None,
        allow_private_addresses: bool = False,
    ):
        self._leave_out = leave_out or LeaveOut("", [])
        self._source, self._state, self._previous = source, state, previous
        self._limits, self._keep_downloads = limits, keep_downloads
        self._downloader = Downloader(
            max_bytes=limits.max_bytes, allow_private=allow_private_addresses
        )
        local = isinstance(source, FolderSource)
        self.pipeline = Pipeline(
            encoder,
            frames=frames,
            limits=limits,
            readers=WORKERS if local else DOWNLOAD_WORKERS,
            pad=True,
            reader=reader,
        )
        self.skipped: list[Skipped] = []  # in the order of the source
        self._skipped: list[tuple[int, Skipped]] = []  # with the item's number
        self.notes: list[str] = []
        self.unread: list[Skipped] = []  # GIFs whose words the reader failed at
        self.embedded: set[str] = set()  # ids that were embedded in this run
        self.first: dict[str, tuple[int, Item]] = {}  # id → (number, first item with these bytes)
        self.places: dict[str, list[tuple[int, str]]] = {}  # id → (number, name) of all
        self.keys: list[str] = []  # of all items
        self.facts: dict[str, Facts] = {**previous.facts, **state.unfinished}
        self._undecided: list[tuple[Task, str]] = []
        self._postponed: list[tuple[int, Item]] = []  # of silent hosts, for the end
        self._reasons: dict[str, str] = {}  # id → why these bytes cannot be embedded
        self._n_done = 0
        self._total: int | None = None
        self._progress: Progress | None = None

    def run(self, progress: Progress | None = None) -> None:
        """Process the source once; SourceError if reading it fails."""
        self._progress, self._total = progress, self._source.total()
        with self._downloader:
            for last in (False, True):
                items = self._postponed if last else enumerate(self._source)
                for done in self.pipeline.run(self._work(items, last), self._is_known):
                    if isinstance(done.error, SilentHostError) and not last:
                        self._postponed.append((done.subject.number, done.subject.item))
                    else:
                        self._record(done)
                        self._count()
        for task, gif_id in self._undecided:
            if gif_id in self.facts:
                self._resolve(task, gif_id)
            else:
                self._skip(task, MediaError(self._reasons[gif_id]), gif_id)
        self._state.commit()
        self._skipped.sort(key=lambda numbered: numbered[0])
        self.skipped = [skipped for _, skipped in self._skipped]
        self.skipped += self._source.left_out
        if unmatched := self._leave_out.unmatched:
            self.notes.append(
                f"{len(unmatched):,} lines of {self._leave_out.name} match nothing in "
                f"{self._source.label}: {listed(unmatched, MAX_UNMATCHED)}."
            )
        unlisted = self._source.n_left_out - len(self._source.left_out)
        if unlisted:
            self.skipped.append(Skipped(self._source.label, f"and {unlisted:,} more rows"))

    def in_order(self) -> list[str]:
        """The ids of all GIFs, in the order of the source."""
        return sorted(self.first, key=lambda gif_id: self.first[gif_id][0])

    def media_of(self, gif_id: str) -> Path | None:
        """A file with these bytes: in the last build's bundle, or a kept download."""
        return self._previous.media_of(gif_id) or self._state.downloads.get(gif_id)

    def _is_enough(self, known: FileState | None) -> bool:
        """Whether an unchanged address in this state need not be downloaded again."""
        if known is None or not known.gif_id:
            return False
        if self._is_known(known.gif_id) and not self._keep_downloads:
            return True
        return self.media_of(known.gif_id) is not None

    def _is_known(self, gif_id: str) -> bool:
        if self._leave_out.names_id(gif_id):  # nothing more has to be known of it
            return True
        facts = self.facts.get(gif_id)
        return facts is not None and self._limits.allow(facts)

    def _work(self, items: Iterable[tuple[int, Item]], last: bool) -> Iterator[Work[Task]]:
        """Yield the items that need reading; resolve the others at once."""
        for number, item in items:
            key = item.uri or item.name
            known = self._state.get(key)
            if known is None and item.url:
                known = self._previous.state_of(item.name)
            task = Task(number, item, known, FileState(key))
            self.keys.append(key)
            if self._leave_out.names_item(item):
                self._leave(task)
                self._count()
                continue
            if item.path:
                version = -1, -1
                with suppress(OSError):  # reading it will say why
                    version = version_of(item.path)
                task.state = FileState(key, "", "", *version)
                if (
                    known
                    and version == (known.size_bytes, known.modified_ns)
                    and version[1] >= 0
                    # A file of the last bundle itself may have other bytes in spite of its times.
                    and not self._previous.is_damaged(item.path, known.gif_id)
                ):
                    if known.reason:
                        self._skipped.append((number, Skipped(item.name, known.reason)))
                        self._count()
                        continue
                    if self._is_known(known.gif_id):
                        self._resolve(task, known.gif_id)
                        self._count()
                        continue
            kept = self._keep_downloads and not item.path
            keep = self._state.downloads.keep if kept else None
            yield Work(task, partial(self._read, task, last), keep)

    def _count(self) -> None:
        self._n_done += 1
        if self._progress:
            self._progress(self._n_done, self._total)

    def _read(self, task: Task, last: bool) -> bytes | str:
        """The item's bytes, or the id of unchanged known ones; runs in a worker thread."""
        item = task.item
        if item.path:
            return read_bytes(item.path, self._limits)
        if item.url:
            known = task.known if self._is_enough(task.known) else None
            known = known or task.state
            etag, last_modified = known.etag, known.last_modified
            try:
                fetched = self._downloader.fetch(item.url, etag, last_modified, last=last)
            except SilentHostError:
                raise
            except UnavailableError as error:
                if not known.gif_id or self._is_known(known.gif_id):
                    raise
                fetched = Fetched(None, etag, last_modified)
                self.notes.append(f"{item.name} is embedded from its copy: {error}.")
            task.state = replace(task.state, etag=fetched.etag, last_modified=fetched.last_modified)
            if fetched.data is not None:
                return fetched.data
            if self._is_known(known.gif_id):
                return known.gif_id
            # The embeddings are lost, but not the copy, or else `_is_enough` was false.
            copy = self.media_of(known.gif_id)
            assert copy is not None
            return read_bytes(copy, self._limits)
        return item.data or b""

    def _record(self, done: Done[Task]) -> None:
        """Record the outcome of one item."""
        task, known = done.subject, done.subject.known
        if done.error:
            is_transient = isinstance(done.error, UnavailableError)
            if is_transient and known and self._is_enough(known):
                self.notes.append(f"{task.item.name} is kept as it was: {done.error}.")
                self._resolve(task, known.gif_id)
            else:
                self._skip(task, done.error, done.gif_id)
        elif done.frames and done.facts and done.gif_id not in self.embedded:
            self.facts[done.gif_id] = done.facts
            self.embedded.add(done.gif_id)
            if done.unread:
                self.unread.append(Skipped(task.item.name, done.unread))
            self._state.add(replace(task.state, gif_id=done.gif_id), done.frames, done.facts)
            self._resolve(task, done.gif_id)
        elif self._is_known(done.gif_id):
            self._state.add(replace(task.state, gif_id=done.gif_id))
            self._resolve(task, done.gif_id)
        else:  # another item with the same bytes is being worked on
            self._undecided.append((task, done.gif_id))

    def _leave(self, task: Task) -> None:
        self._skipped.append((task.number, Skipped(task.item.name, self._leave_out.reason)))

    def _resolve(self, task: Task, gif_id: str) -> None:
        if self._leave_out.names_id(gif_id):
            self._leave(task)
            return
        if gif_id not in self.first or task.number < self.first[gif_id][0]:
            # The bytes of a data set's row are no longer needed, and all may exceed memory.
            lean = replace(task.item, data=b"") if task.item.data else task.item
            self.first[gif_id] = task.number, lean
        self.places.setdefault(gif_id, []).append((task.number, task.item.name))

    def _skip(self, task: Task, error: MediaError, gif_id: str) -> None:
        self._reasons[gif_id] = str(error)
        self._skipped.append((task.number, Skipped(task.item.name, str(error))))
        if not isinstance(error, UnavailableError):
            self._state.add(replace(task.state, gif_id=gif_id, reason=str(error)))

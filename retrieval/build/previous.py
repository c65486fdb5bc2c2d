"""The bundle of the last build: embeddings, near-duplicate groups and media to use again.

Every file is checked against the hash in the manifest before it is used; damaged ones are
named in `notes`, and what they held is embedded again.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from retrieval.build.items import listed
from retrieval.build.state import FileState
from retrieval.embedding import WORKERS
from retrieval.encoders import Encoder
from retrieval.errors import BundleError, reason_of
from retrieval.hub import check_sha256, sha256_of
from retrieval.library import (
    CATALOG,
    EMBEDDINGS,
    MEDIA,
    OLDEST_REUSABLE,
    Manifest,
    Record,
    ShardStore,
    read_catalog,
    read_manifest,
)
from retrieval.media import Facts
from retrieval.signals import SENTENCES, SIGNALS_FOLDER, is_current, known_sentences

MAX_NAMED = 3  # damaged files that a note names


@dataclass
class PreviousBuild:
    """The reusable parts of the last build's bundle."""

    folder: Path | None = None  # of the bundle, if there is one
    store: ShardStore = field(default_factory=ShardStore)
    records: dict[str, Record] = field(default_factory=dict)  # by id
    notes: list[str] = field(default_factory=list)  # for the report, in sentences
    _manifest: Manifest | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _media: dict[str, str] | None = None  # name in media/ → SHA-256 of the file there
    _copies: dict[str, str] = field(default_factory=dict)  # the inverse

    @classmethod
    def read(cls, out: Path, encoder: Encoder, frames: int, text_reader: str) -> PreviousBuild:
        """Read the bundle at `out`; if it was embedded another way, only a note says so.

        `text_reader` is the version of what reads the words in pictures, "" if nothing does. The
        words of another version are not used, and reading them needs the frames again.
        """
        previous = cls(store=ShardStore(encoder.dim))
        if not out.exists():
            return previous
        previous.folder = out
        try:
            manifest = previous._manifest = read_manifest(out, oldest=OLDEST_REUSABLE)
            _check_hash(out, CATALOG, manifest)
            previous.records = {record.id: record for record in read_catalog(out / CATALOG)}
            changed = [
                f"{what} ({before} before, {now} now)"
                for what, before, now in (
                    ("checkpoint", manifest.checkpoint_label, encoder.label),
                    ("precision", manifest.precision, encoder.precision),
                    ("number of frames", manifest.frames_per_gif, frames),
                    # A build that reads no words can use what was read with any reader.
                    (
                        "reader of words",
                        manifest.text_reader or "none",
                        text_reader or manifest.text_reader or "none",
                    ),
                )
                if before != now
            ]
            if not text_reader:
                previous.records = {k: replace(r, texts=()) for k, r in previous.records.items()}
            if manifest.fingerprint != encoder.fingerprint and (
                manifest.checkpoint == encoder.checkpoint.model
            ):
                changed.append(f"fingerprint of {encoder.label}'s weights")
            if changed:
                previous.notes.append(
                    f"Everything is embedded again: another {', '.join(changed)}."
                )
                return previous
        except (BundleError, OSError, ValueError, KeyError, TypeError) as error:
            reason = (
                str(error) if isinstance(error, BundleError) else _describe_damage(CATALOG, error)
            )
            previous.notes.append(f"Everything is embedded again: {reason.partition('. ')[0]}.")
            return previous
        previous._read_shards(manifest)
        return previous

    def _read_shards(self, manifest: Manifest) -> None:
        """Add the shards whose hashes match; a note names the others."""
        assert self.folder is not None
        damaged = []
        for name in sorted(n for n in manifest.files if n.startswith(f"{EMBEDDINGS}/")):
            try:
                _check_hash(self.folder, name, manifest)
                self.store.add(self.folder / name)
            except (OSError, ValueError, KeyError) as error:
                damaged.append(_describe_damage(name, error))
        n_lost = sum(gif_id not in self.store for gif_id in self.records)
        if n_lost or damaged:
            named = listed(
                damaged or ["its manifest names no file that holds them"], MAX_NAMED, "; "
            )
            n = f"{n_lost:,} of {len(self.records):,} GIFs are"
            again = "everything is" if n_lost == len(self.records) else n
            self.notes.append(
                f"{self.folder.name}: its embeddings are damaged ({named}), {again} embedded again."
            )

    def sentences(self) -> dict[str, np.ndarray]:
        """Embeddings of the names and words of the last build, by text; none if damaged."""
        if self.folder is None or self._manifest is None:
            return {}
        try:
            for name in SENTENCES:
                if name in self._manifest.files:
                    _check_hash(self.folder, name, self._manifest)
            catalogue = read_catalog(self.folder / CATALOG)
            return known_sentences(self.folder, catalogue, self._manifest.signal_facts)
        except (OSError, ValueError, KeyError):
            return {}  # they are embedded again

    def copy_signals(
        self, records: Sequence[Record], signals: Sequence[str], to: Path
    ) -> dict[str, Any]:
        """Copy the signals of the last build, if it was of exactly these records.

        Returns what the manifest says of them; empty if they must be made.
        """
        known = self._manifest
        if (
            self.folder is None
            or known is None
            or not is_current(known.signal_facts)
            or list(known.signals) != list(signals)
            or list(self.records.values()) != list(records)
        ):
            return {}
        names = [name for name in known.files if name.startswith(f"{SIGNALS_FOLDER}/")]
        try:
            for name in names:
                _check_hash(self.folder, name, known)
        except (OSError, ValueError, KeyError):
            return {}
        (to / SIGNALS_FOLDER).mkdir()
        for name in names:
            shutil.copyfile(self.folder / name, to / name)
        return dict(known.signal_facts)

    def media_of(self, gif_id: str) -> Path | None:
        """The file in the bundle's media/ whose SHA-256 is `gif_id`, if there is one."""
        self._hash_media()
        name = self._copies.get(gif_id)
        return self.folder / MEDIA / name if self.folder and name else None

    def is_damaged(self, file: Path, gif_id: str) -> bool:
        """Whether a file in the bundle's media/ differs from that GIF; False for other files,
        and for one that was not read (its id is "")."""
        for folder in self._media_folders if gif_id else ():
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
        """SHA-256 of each file in media/, by name; computed once, about a second per gigabyte."""
        with self._lock:
            if self._media is None:
                hashes = self._media = _hash_files(self.folder / MEDIA) if self.folder else {}
                self._copies = {sha256: name for name, sha256 in hashes.items()}
                prefix, all_records = f"{MEDIA}/", self.records.values()
                written = {
                    r.uri[len(prefix) :]: r.id for r in all_records if r.uri.startswith(prefix)
                }
                changed = [n for n in written if hashes.get(n, written[n]) != written[n]]
                if changed and self.folder:
                    self.notes.append(
                        f"{self.folder.name}: {len(changed):,} of its media files are not what was "
                        f"written ({listed(changed, MAX_NAMED)}), and are taken from the source "
                        f"again."
                    )
        return self._media

    def state_of(self, address: str) -> FileState | None:
        """The state of an address as the catalogue has it, for when the build state was lost."""
        return self._states_by_address.get(address)

    @property
    def facts(self) -> dict[str, Facts]:
        """By id: the GIFs whose embeddings can be used again."""
        return {
            record.id: Facts(
                record.n_frames, record.duration_ms, record.width, record.height, record.texts
            )
            for record in self.records.values()
            if record.id in self.store
        }

    @cached_property
    def _states_by_address(self) -> dict[str, FileState]:
        return {
            place: FileState(place, record.id)
            for record in self.records.values()
            for place in record.places
            if "://" in place
        }

    def groups_of(self, ids: Sequence[str]) -> np.ndarray | None:
        """Near-duplicate groups of the last build, if it was of exactly these GIFs."""
        if list(self.records) != list(ids) or not all(gif_id in self.store for gif_id in ids):
            return None
        return np.array([record.group for record in self.records.values()], np.int64)


def _check_hash(bundle: Path, name: str, manifest: Manifest) -> None:
    """ValueError or OSError unless the file has its hash in the manifest."""
    if name not in manifest.files:
        raise ValueError("not named in the manifest")
    check_sha256(bundle / name, manifest.files[name]["sha256"])


def _describe_damage(name: str, error: Exception) -> str:
    what = f"cannot be read ({reason_of(error)})" if isinstance(error, OSError) else f"is {error}"
    return f"{PurePosixPath(name).name} {what}"


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

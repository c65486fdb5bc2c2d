"""An index bundle: a folder that can be copied, versioned, published and opened.

    manifest.json              what this is, how it was made, the size and hash of every file
    catalog.parquet            one record per GIF (retrieval.library.catalog)
    embeddings/part-*.parquet  frame embeddings, the source of truth (retrieval.library.embeddings)
    vectors.faiss              the index; row i is GIF i (mean pooling) or frame i (best frame)
    means.f16                  GIF means in float16, which re-rank an approximate index of GIFs
    frames.f16                 frame embeddings in float16, of a bundle too large for memory
    media/                     the GIFs themselves, where they were copied in

Opening checks that all parts are there, have the hashes of the manifest, and fit one another; no
file is parsed before its hash is known to be right (retrieval.library.integrity). The same goes
for one that is pulled from the Hub (hf://datasets/OWNER/NAME@REVISION). Writing happens beside the
old bundle, and the two are exchanged in one step, so that a build that dies leaves the old one
serving.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from retrieval.encoders import Encoder
from retrieval.errors import BundleError
from retrieval.hub import Address, Progress, Snapshot, fetch_checked, is_address, pull, stays_inside
from retrieval.library.catalog import Catalog, Record, is_web_address, read_catalog
from retrieval.library.embeddings import FrameEmbeddings, read_embeddings
from retrieval.library.faiss_index import VectorIndex, map_vectors
from retrieval.library.integrity import Verification, check_files, check_sizes
from retrieval.library.manifest import (
    CATALOG,
    DAMAGE,
    EMBEDDINGS,
    FRAMES,
    MANIFEST,
    MEANS,
    VECTORS,
    Location,
    Manifest,
    read_manifest,
)
from retrieval.output import old_of

READ_ATTEMPTS = 5
SWAP_S = 0.05  # a swap takes far less

T = TypeVar("T")


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, in memory but for the media, and the float16 files of a large one."""

    path: Path
    manifest: Manifest
    records: Catalog
    embeddings: FrameEmbeddings
    index: VectorIndex
    origin: Address | None = None  # where it was pulled from; `path` is then in the Hub's cache
    version: tuple[int, ...] | None = None  # of its manifest's file when it was opened

    @classmethod
    def open(cls, where: Path | str, progress: Progress | None = None) -> Bundle:
        """Return the bundle in a folder, or at an hf:// address, which is pulled first and cached.

        `progress` is called with (files, files in all) of what is pulled, or with (bytes read,
        bytes to read) of a folder. BundleError names what does not fit and the command that repairs
        it; HubError what cannot be downloaded.
        """
        if is_address(where):
            snapshot, manifest = _pull(Address.parse(where), progress)
            check_sizes(Location.of(snapshot.folder, snapshot.address), snapshot.folder, manifest)
            return cls._read(snapshot.folder, manifest, snapshot.address)
        path = Path(where)

        def read() -> Bundle:
            version, manifest = version_of(path), read_manifest(path)
            check_files(Location.of(path), path, manifest, progress)
            return replace(cls._read(path, manifest), version=version)

        return read_whole(path, read)

    @classmethod
    def _read(cls, path: Path, manifest: Manifest, origin: Address | None = None) -> Bundle:
        """Parse files whose hashes were checked."""
        location = Location.of(path, origin)
        try:
            records = read_catalog(path / CATALOG)
            frames, means = (
                map_vectors(path / name, manifest.dim) if name in manifest.files else None
                for name in (FRAMES, MEANS)
            )
            ids = [record.id for record in records]
            embeddings = read_embeddings(path / EMBEDDINGS, ids, frames)
        except DAMAGE as error:
            raise BundleError(f"{location.name} is damaged ({error}). {location.remedy}") from error
        try:
            exact = frames if manifest.index_rows == "frames" else means
            index = VectorIndex.load(path / VECTORS, exact, manifest.index_parameters)
        except (BundleError, *DAMAGE) as error:
            raise BundleError(f"{error}. {location.remedy}") from error
        for what, found, expected in (
            ("GIFs in the catalogue", len(records), manifest.n_gifs),
            ("frame embeddings", len(embeddings), manifest.n_frames),
            ("rows in the index", len(index), manifest.n_rows),
            ("dimensions in the embeddings", embeddings.vectors.shape[1], manifest.dim),
            ("dimensions in the index", index.dim, manifest.dim),
        ):
            if found != expected:
                raise BundleError(
                    f"{location.name} has {found} {what}; its manifest says {expected}. "
                    f"{location.remedy}"
                )
        return cls(path, manifest, records, embeddings, index, origin)

    @property
    def name(self) -> str:
        return self.origin.repo_id if self.origin else self.path.name

    @property
    def pooling(self) -> str:
        return self.manifest.pooling

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise BundleError unless the bundle was built with this encoder."""
        if encoder.fingerprint != self.manifest.fingerprint:
            location = Location.of(self.path, self.origin)
            raise BundleError(
                f"{location.name} was built with {self.manifest.checkpoint_label} (dim "
                f"{self.manifest.dim}, fingerprint {self.manifest.fingerprint[:12]}); the encoder "
                f"is {encoder.label} (dim {encoder.dim}, fingerprint {encoder.fingerprint[:12]}). "
                f"{location.remedy}"
            )

    def media_path(self, record: Record) -> str:
        """Return where the record's GIF is: a path that can be opened from here, or a URL."""
        return media_path(self.path, record, pulled=self.origin is not None)


def media_path(bundle: Path, record: Record, *, pulled: bool) -> str:
    """Return where a record's GIF is: a path that can be opened from here, or an http(s) URL.

    Empty for a URL of another scheme, and for a path by which a bundle from the Hub points
    outside of itself: it must not name files of this machine. retrieval.web.routes decides
    whether a path may be served.
    """
    if is_web_address(record.uri):
        return record.uri
    if "://" in record.uri or (pulled and not stays_inside(record.uri)):
        return ""
    return os.path.join(bundle, record.uri)


# Address as given → the folder with its files, of those opened in this process.
_pulled: dict[str, Path] = {}


def folder_of(where: Path | str) -> Path:
    """Return the folder of a bundle; of one on the Hub, that of the commit last opened here.

    BundleError if that has not been opened yet: a server's responses must not wait for it.
    """
    if not is_address(where):
        return Path(where)
    address = str(Address.parse(where))
    if address not in _pulled:
        raise BundleError(f"{address} has not been opened yet. Wait until it has.")
    return _pulled[address]


def manifest_at(where: Path | str) -> Manifest:
    """Return the manifest of the bundle in a folder or at an hf:// address; only it is pulled."""
    if is_address(where):
        return _pull_manifest(Address.parse(where))[1]
    return read_manifest(Path(where))


def verify_bundle(where: Path | str, progress: Progress | None = None) -> Verification:
    """Read every file of a bundle again, also those that are known, and compare its hash.

    A damaged file of a bundle from the Hub is downloaded again. BundleError or HubError names what
    is not what the manifest says.
    """
    start = time.perf_counter()
    if is_address(where):
        snapshot, manifest = _pull(Address.parse(where), progress, again=True)
        name = str(snapshot.address)
    else:
        path, name = Path(where), str(where)

        def check() -> Manifest:
            manifest = read_manifest(path)
            check_files(Location.of(path), path, manifest, progress, again=True)
            return manifest

        manifest = read_whole(path, check)
    n_bytes = sum(facts["bytes"] for facts in manifest.files.values())
    return Verification(name, len(manifest.files), n_bytes, time.perf_counter() - start)


def _pull(
    address: Address, progress: Progress | None, *, again: bool = False
) -> tuple[Snapshot, Manifest]:
    """Download a bundle, as far as it is not here, and check the hash of every file."""
    snapshot, manifest = _pull_manifest(address)
    hashes = {name: facts["sha256"] for name, facts in manifest.files.items()}
    fetch_checked(snapshot, hashes, progress, again=again)
    _pulled[str(address)] = snapshot.folder
    return snapshot, manifest


def _pull_manifest(address: Address) -> tuple[Snapshot, Manifest]:
    snapshot = pull(address, MANIFEST)
    if snapshot is None:
        raise BundleError(
            f"{address} holds no {MANIFEST}, so it is no index bundle. Check the name; one is "
            f"published with: reaction-search publish bundle BUNDLE {address.repo_id}"
        )
    return snapshot, read_manifest(snapshot.folder, address)


def read_whole(path: Path, read: Callable[[], T]) -> T:
    """Return what `read` reads of the bundle at `path`, all of it from one build.

    If another build is swapped in while the files are read one by one, it is read again.
    """
    failure: Exception = BundleError(
        f"{path} was rebuilt again and again while it was read. Try it again."
    )
    for _ in range(READ_ATTEMPTS):
        before = version_of(path)
        try:
            result = read()
        except (BundleError, OSError) as error:
            failure = error
            is_swapping = before is None and old_of(path).exists()  # by two renames
            if version_of(path) == before and not is_swapping:
                break
        else:
            if version_of(path) == before:
                return result
        time.sleep(SWAP_S)
    raise failure


def version_of(path: Path) -> tuple[int, ...] | None:
    """Return what distinguishes one build's manifest from another's; None if there is none."""
    try:
        facts = (path / MANIFEST).stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size

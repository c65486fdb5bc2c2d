"""An index bundle: a folder that can be copied, versioned, published and opened.

    manifest.json              what this is, how it was made, the size and hash of every file
    catalog.parquet            one record a GIF (retrieval.catalog)
    embeddings/part-*.parquet  frame embeddings, the source of truth (retrieval.embeddings)
    vectors.faiss              the index; row i is row i of the embeddings
    vectors.f16                float16, row by row: what an index that is not exact is re-ranked by
    media/                     the GIFs themselves, where they were copied in

Opening checks that all parts are there, whole, and fit one another; of one that is pulled
from the Hub (hf://datasets/OWNER/NAME@REVISION), every file's hash as well. Writing happens
beside the old bundle, and the two are exchanged in one step, so that a build that dies
leaves the old one serving.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from retrieval import __version__
from retrieval.catalog import (
    Record,
    count_licenses,
    is_web_address,
    read_catalog,
    write_catalog,
)
from retrieval.checked import fetch_checked, sha256_of
from retrieval.embeddings import (
    ROWS_PER_SHARD,
    FrameEmbeddings,
    GifFrames,
    read_embeddings,
    shards_in,
    write_shard,
)
from retrieval.encoder import Encoder, label_of
from retrieval.errors import BundleError, SourceError, reason_of
from retrieval.file_kinds import why_not_regular
from retrieval.hub import Address, Progress, Snapshot, is_address, pull, stays_inside
from retrieval.index import KIND, IndexPlan, VectorIndex, map_vectors, plan_index
from retrieval.output import MARKER, StagedFolder, old_of, suggest_output
from retrieval.settings import NAME

FORMAT_VERSION = 2  # 2: places and groups in the catalogue, precision, other kinds of index
METRIC = "cosine"
POOLINGS = ("best_frame", "mean")

MANIFEST = "manifest.json"
CATALOG = "catalog.parquet"
EMBEDDINGS = "embeddings"
VECTORS = "vectors.faiss"
EXACT = "vectors.f16"
MEDIA = "media"
_SCRATCH = "vectors.f32"
_WRITTEN_BY = re.compile(rb'"written_by":\s*"%s ' % NAME.encode())


# What reading a damaged Parquet file, index or manifest may raise.
DAMAGE = (OSError, ValueError, LookupError, TypeError, NotImplementedError, MemoryError)

READ_TRIES = 5
SWAP_S = 0.05  # a swap takes far less

T = TypeVar("T")


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself."""

    checkpoint: str  # as the encoder was asked for: a preset, an open_clip name, hf-hub:…
    pretrained: str | None
    fingerprint: str  # of the encoder's weights and preprocessing
    frames_per_gif: int
    pooling: str  # how frame scores become a GIF's score, one of POOLINGS
    # The rest is filled in when the bundle is written.
    dim: int = 0
    n_gifs: int = 0
    n_frames: int = 0
    licenses: Mapping[str, int] = field(default_factory=dict)
    precision: str = "float32"  # in which the frames were encoded
    source: str = ""  # what it was built from, in words
    n_near_duplicates: int = 0  # GIFs that are grouped under another
    index_kind: str = KIND
    index_parameters: Mapping[str, Any] = field(default_factory=dict)
    metric: str = METRIC
    written_by: str = f"{NAME} {__version__}"
    format_version: int = FORMAT_VERSION
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # path → bytes, sha256

    @property
    def checkpoint_label(self) -> str:
        return label_of(self.checkpoint, self.pretrained)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, all in memory but the media, and the vectors if it is large."""

    path: Path
    manifest: Manifest
    records: Sequence[Record]
    embeddings: FrameEmbeddings
    index: VectorIndex
    origin: Address | None = None  # where it was pulled from; `path` is then in the Hub's cache

    @classmethod
    def open(cls, where: Path | str, progress: Progress | None = None) -> Bundle:
        """The bundle in a folder, or at an hf:// address: that is pulled first, and kept.

        BundleError says what does not fit and what mends it, HubError what cannot be had.
        """
        if is_address(where):
            snapshot = _pull(Address.parse(where), progress)
            return cls._open(snapshot.folder, snapshot.address)
        return read_whole(Path(where), lambda: cls._open(Path(where)))

    @classmethod
    def _open(cls, path: Path, origin: Address | None = None) -> Bundle:
        place = _Place.of(path, origin)
        manifest = read_manifest(path, origin)
        for name, facts in manifest.files.items():
            _check_file(place, path / name, facts["bytes"])
        try:
            records = read_catalog(path / CATALOG)
            exact = None
            if manifest.index_kind != KIND:
                exact = map_vectors(path / EXACT, manifest.dim)
            ids = [record.id for record in records]
            embeddings = read_embeddings(path / EMBEDDINGS, ids, exact)
        except DAMAGE as error:
            raise BundleError(f"{place.name} is damaged ({error}). {place.mend}") from error
        try:
            index = VectorIndex.load(path / VECTORS, dict(manifest.index_parameters))
        except (BundleError, *DAMAGE) as error:
            raise BundleError(f"{error}. {place.mend}") from error
        for what, found, expected in (
            ("GIFs in the catalogue", len(records), manifest.n_gifs),
            ("frame embeddings", len(embeddings), manifest.n_frames),
            ("rows in the index", len(index), manifest.n_frames),
            ("dimensions in the embeddings", embeddings.vectors.shape[1], manifest.dim),
            ("dimensions in the index", index.dim, manifest.dim),
        ):
            if found != expected:
                raise BundleError(
                    f"{place.name} has {found} {what}; its manifest says {expected}. {place.mend}"
                )
        return cls(path, manifest, records, embeddings, index, origin)

    @property
    def name(self) -> str:
        return self.origin.repo_id if self.origin else self.path.name

    @property
    def pooling(self) -> str:
        return self.manifest.pooling

    def check_encoder(self, encoder: Encoder) -> None:
        """BundleError unless the encoder is the one the bundle was built with."""
        if encoder.fingerprint != self.manifest.fingerprint:
            place = _Place.of(self.path, self.origin)
            raise BundleError(
                f"{place.name} was built with {self.manifest.checkpoint_label} (dim "
                f"{self.manifest.dim}, fingerprint {self.manifest.fingerprint[:12]}); the encoder "
                f"is {encoder.label} (dim {encoder.dim}, fingerprint {encoder.fingerprint[:12]}). "
                f"{place.mend}"
            )

    def media_path(self, record: Record) -> str:
        """Where the record's GIF is: a path that can be opened from here, or an address."""
        return media_path(self.path, record, pulled=self.origin is not None)


def media_path(bundle: Path, record: Record, *, pulled: bool) -> str:
    """Where a record's GIF is: a path that can be opened from here, or an http(s) address.

    Empty for an address of another scheme, and for one that a bundle from the Hub says to
    lie outside of it: the files of this machine are none of its business. Whether a path
    may be served is decided by retrieval.serving.
    """
    if is_web_address(record.uri):
        return record.uri
    if "://" in record.uri or (pulled and not stays_inside(record.uri)):
        return ""
    return str(bundle / record.uri)


# Address as it was asked for → the folder with its files, of those opened in this process.
_pulled: dict[str, Path] = {}


def folder_of(where: Path | str) -> Path:
    """The folder of a bundle; of one on the Hub, that of the commit last opened here.

    BundleError if that has not been opened yet: a server's answers must not wait for it.
    """
    if not is_address(where):
        return Path(where)
    address = str(Address.parse(where))
    if address not in _pulled:
        raise BundleError(f"{address} has not been opened yet. Wait until it has.")
    return _pulled[address]


def manifest_at(where: Path | str) -> Manifest:
    """What the bundle in a folder or at an hf:// address says of itself; no more is pulled."""
    if is_address(where):
        return _pull_manifest(Address.parse(where))[1]
    return read_manifest(Path(where))


def _pull(address: Address, progress: Progress | None = None) -> Snapshot:
    """A bundle's files at one commit, each with the hash that the manifest says."""
    snapshot, manifest = _pull_manifest(address)
    hashes = {name: facts["sha256"] for name, facts in manifest.files.items()}
    fetch_checked(snapshot, hashes, progress)
    _pulled[str(address)] = snapshot.folder
    return snapshot


def _pull_manifest(address: Address) -> tuple[Snapshot, Manifest]:
    snapshot = pull(address, MANIFEST)
    if snapshot is None:
        raise BundleError(
            f"{address} holds no {MANIFEST}, so it is no index bundle. Check the name; one is "
            f"published with: python scripts/publish_index.py BUNDLE {address.repo_id}"
        )
    return snapshot, read_manifest(snapshot.folder, address)


@dataclass(frozen=True)
class _Place:
    """How a bundle is called in errors, and the command that mends it."""

    name: str
    mend: str

    @classmethod
    def of(cls, path: Path, origin: Address | None = None) -> _Place:
        if origin is None:
            return cls(str(path), f"Rebuild it: {build_command(path)}")
        return cls(
            str(origin),
            f"Name another commit of it (@COMMIT), or publish it again: "
            f"python scripts/publish_index.py BUNDLE {origin.repo_id}",
        )


def build_command(out: Path) -> str:
    """The command that builds a bundle at `out`, or beside it if other files lie there."""
    return f"python scripts/build_index.py FOLDER --out {suggest_output(out, owned_files)}"


def read_manifest(path: Path, origin: Address | None = None) -> Manifest:
    """What the bundle in a folder says of itself; `origin` is where it was pulled from."""
    place = _Place.of(path, origin)
    file = path / MANIFEST
    if not file.is_file():
        what = f"No index at {path}" if not path.exists() else f"{path} holds no {MANIFEST}"
        raise BundleError(f"{what}. Build it: {build_command(path)}")
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        version = known.get("format_version")
        if version != FORMAT_VERSION:
            raise BundleError(
                f"{place.name} has format version {version}; this program reads "
                f"{FORMAT_VERSION}. {place.mend}"
            )
        manifest = Manifest(**known)
        for name, facts in manifest.files.items():
            if not stays_inside(name):
                raise ValueError(f"it names {name!r}, which is outside of the bundle")
            if not isinstance(facts["sha256"], str) or not isinstance(facts["bytes"], int):
                raise ValueError(f"no size or no hash of {name}")
    except (RecursionError, AttributeError, *DAMAGE) as error:
        name = f"{MANIFEST} of {origin}" if origin else str(file)
        raise BundleError(f"{name} is no manifest ({error}). {place.mend}") from error
    if manifest.metric != METRIC or manifest.pooling not in POOLINGS:
        raise BundleError(
            f"{place.name} names metric {manifest.metric!r} and pooling {manifest.pooling!r}; "
            f"expected {METRIC!r} and one of {', '.join(POOLINGS)}. {place.mend}"
        )
    return manifest


def read_whole(path: Path, read: Callable[[], T]) -> T:
    """What `read` reads of the bundle at `path`, all of it of one build.

    A build may be swapped in while the files are read one by one: it is then read again.
    """
    failure: Exception = BundleError(
        f"{path} was rebuilt again and again while it was read. Try it again."
    )
    for _ in range(READ_TRIES):
        before = _version(path)
        try:
            result = read()
        except (BundleError, OSError) as error:
            failure = error
            if not _was_swapped(path, before):
                break
        else:
            if _version(path) == before:
                return result
        time.sleep(SWAP_S)
    raise failure


def _version(path: Path) -> tuple[int, int, int] | None:
    """What tells one build's manifest from another's; None if there is none."""
    try:
        facts = (path / MANIFEST).stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _was_swapped(path: Path, before: tuple[int, int, int] | None) -> bool:
    """Whether the bundle was swapped since, or is at this moment (by two renames)."""
    return _version(path) != before or (before is None and old_of(path).exists())


def _check_file(place: _Place, file: Path, size: int) -> None:
    try:
        facts = file.stat()
    except OSError as error:
        raise BundleError(f"{file} is missing ({reason_of(error)}). {place.mend}") from error
    if reason := why_not_regular(facts.st_mode):
        raise BundleError(f"{file} is {reason}. {place.mend}")
    found = facts.st_size
    if found != size:
        raise BundleError(
            f"{file} is truncated or changed: {found:,} bytes, expected {size:,}. {place.mend}"
        )


def owned_files(folder: Path) -> tuple[str, ...] | None:
    """The bundle's files: those that its manifest lists, and those of fixed names; itself last.

    None if the folder holds no manifest of a bundle, of whatever format version, so that
    nothing in it is ours. A damaged manifest counts as long as it says who wrote it.
    """
    try:
        if not (folder / MANIFEST).is_file():  # reading a named pipe would not end
            return None
        text = (folder / MANIFEST).read_bytes()
        if not _WRITTEN_BY.search(text):
            return None
    except OSError:
        return None
    try:
        listed = [name for name in json.loads(text)["files"] if stays_inside(name)]
    except (ValueError, TypeError, KeyError, RecursionError):
        listed = []
    fixed = [CATALOG, VECTORS, EXACT]
    fixed += [f"{EMBEDDINGS}/{shard.name}" for shard in shards_in(folder / EMBEDDINGS)]
    return (*dict.fromkeys([*listed, *fixed]), MANIFEST)


class BundleWriter:
    """Writes a bundle beside the one at `out`, and takes its place once it is whole.

    In order: `write_embeddings`, `write_index`, `write_catalog`, any `add_media`,
    `finish`. Left early (it is a context manager), it leaves nothing behind. Files in `out`
    that the old bundle's manifest does not list, and all below `kept`, stay (StagedFolder).
    """

    def __init__(self, out: Path, dim: int, *, kept: Path | None = None):
        self._out, self._dim = out, dim
        self._staged = StagedFolder(out, owned_files, kept=kept)
        self._partial = self._staged.path
        (self._partial / EMBEDDINGS).mkdir()
        self._hashes: dict[str, str] = {}  # of files whose hash is known already
        self._plan: IndexPlan | None = None
        self._vectors = np.zeros((0, dim), np.float32)
        self._counts: dict[str, Any] = {}

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(self, *raised: object) -> None:
        self._staged.__exit__(*raised)

    def write_embeddings(self, gifs: Iterable[GifFrames]) -> tuple[np.ndarray, np.ndarray]:
        """Write the shards, in bounded memory.

        Returns the vectors, float32 (n, dim), mapped from a scratch file, and the row at
        which each GIF starts, int64 (n_gifs,).
        """
        scratch = self._partial / _SCRATCH
        pending: list[GifFrames] = []
        starts, n_rows, n_pending, n_shards = [], 0, 0, 0
        with scratch.open("wb") as flat:
            for gif in gifs:
                starts.append(n_rows)
                flat.write(np.ascontiguousarray(gif.vectors, np.float32).data)
                pending.append(gif)
                n_rows += len(gif)
                n_pending += len(gif)
                if n_pending >= ROWS_PER_SHARD:
                    write_shard(pending, self._dim, self._shard(n_shards))
                    pending, n_pending, n_shards = [], 0, n_shards + 1
        if pending or not n_shards:
            write_shard(pending, self._dim, self._shard(n_shards))
        if n_rows:
            self._vectors = np.memmap(scratch, np.float32, "r", shape=(n_rows, self._dim))
        self._counts = {"n_gifs": len(starts), "n_frames": n_rows}
        return self._vectors, np.array(starts, np.int64)

    def _shard(self, number: int) -> Path:
        return self._partial / EMBEDDINGS / f"part-{number:05}.parquet"

    def write_index(self, kind: str = "auto") -> IndexPlan:
        """Build the index of the vectors; what was chosen, and why."""
        vectors = self._vectors
        self._plan = plan = plan_index(len(vectors), self._dim, kind)
        VectorIndex.build(lambda: _chunks(vectors), plan).save(self._partial / VECTORS)
        if plan.kind != KIND:
            with (self._partial / EXACT).open("wb") as half:
                for chunk in _chunks(vectors):
                    half.write(chunk.astype(np.float16).data)
        return plan

    def write_catalog(self, records: Sequence[Record]) -> None:
        write_catalog(records, self._partial / CATALOG)
        self._counts["licenses"] = count_licenses(records)

    def add_media(self, name: str, source: Path, sha256: str = "") -> None:
        """Take a file into media/. One of the old bundle is linked, others are copied.

        SourceError if a copy is not of the bytes with this hash: the file was changed
        since it was embedded.
        """
        target = self._partial / MEDIA / name
        target.parent.mkdir(parents=True, exist_ok=True)
        linked = False
        if source.is_relative_to(self._out):
            with suppress(OSError):  # a file system without links
                os.link(source, target)
                linked = True
        if not linked:
            shutil.copyfile(source, target)
            if sha256 and sha256_of(target) != sha256:
                raise SourceError(f"{source} was changed while it was indexed. Run it again.")
        if sha256:
            self._hashes[f"{MEDIA}/{name}"] = sha256

    def finish(self, manifest: Manifest) -> Manifest:
        """Write the manifest and swap the bundle in; the manifest with all its facts."""
        if self._plan is None:
            raise ValueError("finish comes after write_index")
        del self._vectors
        (self._partial / _SCRATCH).unlink()
        manifest = replace(
            manifest,
            dim=self._dim,
            index_kind=self._plan.kind,
            index_parameters=dict(self._plan.parameters),
            files=self._file_facts(),
            **self._counts,
        )
        text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
        (self._partial / MANIFEST).write_text(text + "\n", encoding="utf-8")
        self._staged.commit()
        return manifest

    def _file_facts(self) -> dict[str, dict[str, Any]]:
        facts = {}
        for file in sorted(self._partial.rglob("*")):
            if file.is_file() and file.name != MARKER:
                name = file.relative_to(self._partial).as_posix()
                known = self._hashes.get(name) or sha256_of(file)
                facts[name] = {"bytes": file.stat().st_size, "sha256": known}
        return facts


def _chunks(vectors: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(vectors), ROWS_PER_SHARD):
        yield np.asarray(vectors[start : start + ROWS_PER_SHARD])

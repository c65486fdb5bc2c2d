"""An index bundle: a folder that can be copied, versioned, published and opened.

    manifest.json              what this is, how it was made, the size and hash of every file
    catalog.parquet            one record a GIF (retrieval.catalog)
    embeddings/part-*.parquet  frame embeddings, the source of truth (retrieval.embeddings)
    vectors.faiss              the index; row i is row i of the embeddings
    media/                     the GIFs themselves, where they were copied in

Opening checks that all parts are there, whole, and fit one another. Writing happens
beside the old bundle and is swapped in by a rename, so that a build that dies leaves
the old one serving.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from retrieval import __version__
from retrieval.catalog import Record, count_licenses, read_catalog, write_catalog
from retrieval.embeddings import FrameEmbeddings, read_shards, write_shard
from retrieval.encoder import Encoder
from retrieval.errors import BundleError
from retrieval.index import KIND, VectorIndex

FORMAT_VERSION = 1
METRIC = "cosine"
POOLINGS = ("best_frame", "mean")

MANIFEST = "manifest.json"
CATALOG = "catalog.parquet"
EMBEDDINGS = "embeddings"
VECTORS = "vectors.faiss"
MEDIA = "media"


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
    index_kind: str = KIND
    index_parameters: Mapping[str, Any] = field(default_factory=dict)
    metric: str = METRIC
    written_by: str = f"clip-reaction-search {__version__}"
    format_version: int = FORMAT_VERSION
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # path → bytes, sha256

    @property
    def checkpoint_label(self) -> str:
        return f"{self.checkpoint}/{self.pretrained}" if self.pretrained else self.checkpoint


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, all in memory but the media."""

    path: Path
    manifest: Manifest
    records: Sequence[Record]
    embeddings: FrameEmbeddings
    index: VectorIndex

    @classmethod
    def open(cls, path: Path | str) -> Bundle:
        """The bundle in a folder; BundleError says what does not fit and what mends it."""
        path = Path(path)
        manifest = _read_manifest(path)
        for name, facts in manifest.files.items():
            _check_file(path, name, facts["bytes"])
        try:
            records = read_catalog(path / CATALOG)
            embeddings = read_shards(path / EMBEDDINGS)
        except (OSError, ValueError, KeyError) as error:  # pyarrow's errors derive from these
            raise BundleError(f"{path} is damaged ({error}). {_mend(path)}") from error
        try:
            index = VectorIndex.load(path / VECTORS)
        except BundleError as error:
            raise BundleError(f"{error}. {_mend(path)}") from error
        for what, found, expected in (
            ("GIFs in the catalogue", len(records), manifest.n_gifs),
            ("frame embeddings", len(embeddings), manifest.n_frames),
            ("rows in the index", len(index), manifest.n_frames),
            ("dimensions in the embeddings", embeddings.vectors.shape[1], manifest.dim),
            ("dimensions in the index", index.dim, manifest.dim),
        ):
            if found != expected:
                raise BundleError(
                    f"{path} has {found} {what}; its manifest says {expected}. {_mend(path)}"
                )
        return cls(path, manifest, records, embeddings, index)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def pooling(self) -> str:
        return self.manifest.pooling

    def check_encoder(self, encoder: Encoder) -> None:
        """BundleError unless the encoder is the one the bundle was built with."""
        if encoder.fingerprint != self.manifest.fingerprint:
            raise BundleError(
                f"{self.path} was built with {self.manifest.checkpoint_label} (dim "
                f"{self.manifest.dim}, fingerprint {self.manifest.fingerprint[:12]}); the encoder "
                f"is {encoder.label} (dim {encoder.dim}, fingerprint {encoder.fingerprint[:12]}). "
                f"{_mend(self.path)}"
            )

    def media_path(self, record: Record) -> str:
        """Where the record's GIF is: a path that can be opened from here, or an address."""
        if "://" in record.uri or os.path.isabs(record.uri):
            return record.uri
        return str(self.path / record.uri)


def _mend(path: Path) -> str:
    return f"Rebuild it: python scripts/build_index.py FOLDER --out {path}"


def _read_manifest(path: Path) -> Manifest:
    file = path / MANIFEST
    if not file.is_file():
        what = f"No index at {path}" if not path.exists() else f"{path} holds no {MANIFEST}"
        raise BundleError(f"{what}. Build it: python scripts/build_index.py FOLDER --out {path}")
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        version = known.get("format_version")
        if version != FORMAT_VERSION:
            raise BundleError(
                f"{path} has format version {version}; this program reads {FORMAT_VERSION}. "
                f"{_mend(path)}"
            )
        manifest = Manifest(**known)
    except (ValueError, TypeError, AttributeError) as error:
        raise BundleError(f"{file} is no manifest ({error}). {_mend(path)}") from error
    if manifest.metric != METRIC or manifest.pooling not in POOLINGS:
        raise BundleError(
            f"{file} names metric {manifest.metric!r} and pooling {manifest.pooling!r}; expected "
            f"{METRIC!r} and one of {', '.join(POOLINGS)}. {_mend(path)}"
        )
    return manifest


def _check_file(path: Path, name: str, size: int) -> None:
    file = path / name
    if not file.is_file():
        raise BundleError(f"{file} is missing. {_mend(path)}")
    found = file.stat().st_size
    if found != size:
        raise BundleError(
            f"{file} is truncated or changed: {found:,} bytes, expected {size:,}. {_mend(path)}"
        )


def write_bundle(
    out: Path,
    manifest: Manifest,
    records: Sequence[Record],
    embeddings: FrameEmbeddings,
    media: Mapping[str, Path] | None = None,
) -> Manifest:
    """Write a bundle, replacing the one at `out` only once the new one is whole.

    `media` maps names below media/ to the files to be copied there. Returns the
    manifest with the sizes and hashes of all files.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / EMBEDDINGS).mkdir(parents=True)
    write_catalog(records, partial / CATALOG)
    write_shard(embeddings, partial / EMBEDDINGS / "part-00000.parquet")
    VectorIndex.build(embeddings.vectors).save(partial / VECTORS)
    for name, file in (media or {}).items():
        (partial / MEDIA / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, partial / MEDIA / name)
    manifest = replace(
        manifest,
        dim=int(embeddings.vectors.shape[1]),
        n_gifs=len(records),
        n_frames=len(embeddings),
        licenses=count_licenses(records),
        files=_file_facts(partial),
    )
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
    (partial / MANIFEST).write_text(text + "\n", encoding="utf-8")
    _swap_in(partial, out)
    return manifest


def _file_facts(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        str(file.relative_to(folder).as_posix()): {
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _swap_in(partial: Path, out: Path) -> None:
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    partial.rename(out)
    shutil.rmtree(old, ignore_errors=True)

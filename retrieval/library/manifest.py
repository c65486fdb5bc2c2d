"""The manifest of an index bundle: what a bundle says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval import __version__
from retrieval.encoders import Checkpoint
from retrieval.errors import BundleError, reason_of
from retrieval.hub import (
    Address,
    stays_inside,
)
from retrieval.library.embeddings import (
    shards_in,
)
from retrieval.library.faiss_index import KIND
from retrieval.output import suggest_output
from retrieval.paths import NAME, why_not_regular

FORMAT_VERSION = 2  # 2: places and groups in the catalogue, precision, other kinds of index
METRIC = "cosine"
POOLINGS = ("best_frame", "mean")
# "mean" and "best_frame" are compared by scripts/evaluate.py; the README gives both.
DEFAULT_POOLING = "mean"

MANIFEST = "manifest.json"
CATALOG = "catalog.parquet"
EMBEDDINGS = "embeddings"
VECTORS = "vectors.faiss"
EXACT = "vectors.f16"
MEDIA = "media"
_WRITTEN_BY = re.compile(rb'"written_by":\s*"%s ' % NAME.encode())


# What reading a damaged Parquet file, index or manifest may raise.
DAMAGE = (OSError, ValueError, LookupError, TypeError, NotImplementedError, MemoryError)


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
    def encoder_checkpoint(self) -> Checkpoint:
        """The checkpoint of the encoder that embedded the frames."""
        return Checkpoint.parse(self.checkpoint, self.pretrained)

    @property
    def checkpoint_label(self) -> str:
        return self.encoder_checkpoint.label


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

"""The manifest of an index bundle: how it was built, and the size and hash of every file.

It has a checksum of its own content, so that a changed byte in it is found as one in any other
file is. Manifests of before have none, and are read without.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from retrieval import __version__
from retrieval.encoders import Checkpoint
from retrieval.errors import BundleError
from retrieval.hub import Address, stays_inside
from retrieval.library.embeddings import shards_in
from retrieval.library.index_plan import KIND
from retrieval.output import suggest_output
from retrieval.paths import NAME

FORMAT_VERSION = 4  # 3: one row of the index per GIF if means are pooled; 4: signals
OLDEST_READ = 3  # searched by frames alone
OLDEST_REUSABLE = 2  # format whose catalogue and embeddings a build takes over
METRIC = "cosine"
INDEX_ROWS = {"best_frame": "frames", "mean": "gifs"}  # what a row of the index is, by pooling
POOLINGS = tuple(INDEX_ROWS)
# "mean" and "best_frame" are compared by reaction-search evaluate; the README gives both.
DEFAULT_POOLING = "mean"

# What a search may go by: CLIP embeddings of the frames, words read in the pictures, titles,
# tags and file names, and the kind of reaction. A build prepares those that it is asked for.
SIGNALS = ("frames", "words", "names", "reaction")

MANIFEST = "manifest.json"
CATALOG = "catalog.parquet"
EMBEDDINGS = "embeddings"
VECTORS = "vectors.faiss"
MEANS = "means.f16"
FRAMES = "frames.f16"
FORMER_FILES = ("vectors.f16",)  # of format 2
MEDIA = "media"
_WRITTEN_BY = re.compile(rb'"written_by":\s*"%s ' % NAME.encode())


# What reading a damaged Parquet file, index or manifest may raise.
DAMAGE = (OSError, ValueError, LookupError, TypeError, NotImplementedError, MemoryError)


@dataclass(frozen=True)
class Manifest:
    """The description of a bundle."""

    checkpoint: str  # as given to load_encoder: a preset, an open_clip name, hf-hub:…
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
    signals: Sequence[str] = field(default_factory=lambda: ["frames"])  # some of SIGNALS
    text_reader: str = ""  # version of what read the words in the pictures; "": nothing did
    index_kind: str = KIND
    index_parameters: Mapping[str, Any] = field(default_factory=dict)
    index_rows: str = ""  # what a row of the index is: "gifs" or "frames"
    # Of words, names and reactions (retrieval.signals); empty: searched by frames alone.
    signal_facts: Mapping[str, Any] = field(default_factory=dict)
    metric: str = METRIC
    written_by: str = f"{NAME} {__version__}"
    format_version: int = FORMAT_VERSION
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # path → bytes, sha256
    checksum: str = ""  # `checksum_of` all the above; "": written before there was one

    @property
    def n_rows(self) -> int:
        """The number of rows in the index."""
        return self.n_gifs if self.index_rows == "gifs" else self.n_frames

    @property
    def encoder_checkpoint(self) -> Checkpoint:
        """The checkpoint of the encoder that embedded the frames."""
        return Checkpoint.parse(self.checkpoint, self.pretrained)

    @property
    def checkpoint_label(self) -> str:
        return self.encoder_checkpoint.label


@dataclass(frozen=True)
class Location:
    """The name of a bundle in error messages, and the command that repairs it."""

    name: str
    remedy: str

    @classmethod
    def of(cls, path: Path, origin: Address | None = None) -> Location:
        if origin is None:
            return cls(str(path), f"Rebuild it: {build_command(path)}")
        return cls(
            str(origin),
            f"Name another commit of it (@COMMIT), or publish it again: "
            f"reaction-search publish bundle BUNDLE {origin.repo_id}",
        )


def check_signals(names: Collection[str]) -> list[str]:
    """Return these signals in the order of SIGNALS; ValueError for unknown or too few ones.

    >>> check_signals({"words", "frames"})
    ['frames', 'words']
    >>> check_signals(["frames", "wrods"])
    Traceback (most recent call last):
    ValueError: unknown signal 'wrods'; expected some of frames, words, names, reaction
    """
    unknown = sorted(set(names) - set(SIGNALS))
    if unknown:
        raise ValueError(f"unknown signal {unknown[0]!r}; expected some of {', '.join(SIGNALS)}")
    if "frames" not in names:
        raise ValueError("no signal 'frames', which every index has; add it")
    return [name for name in SIGNALS if name in names]


def build_command(out: Path) -> str:
    """Return the command that builds a bundle at `out`, or beside it if other files lie there."""
    return f"reaction-search build FOLDER --out {suggest_output(out, owned_files)}"


def read_manifest(
    path: Path, origin: Address | None = None, *, oldest: int = OLDEST_READ
) -> Manifest:
    """Return the manifest of the bundle in a folder; `origin` is where it was pulled from.

    BundleError if it is damaged, or of a format before `oldest` or after this program's.
    """
    location = Location.of(path, origin)
    file = path / MANIFEST
    if not file.is_file():
        what = f"No index at {path}" if not path.exists() else f"{path} holds no {MANIFEST}"
        raise BundleError(f"{what}. Build it: {build_command(path)}")
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        version = known.get("format_version")
        if version not in range(oldest, FORMAT_VERSION + 1):
            raise BundleError(
                f"{location.name} has format version {version}; this program reads "
                f"{OLDEST_READ} to {FORMAT_VERSION}. {location.remedy}"
            )
        manifest = Manifest(**known)
        if "checksum" in known and manifest.checksum != checksum_of(known):
            raise ValueError("it was changed since it was written: its checksum does not fit")
        _check_types(manifest)
    except (RecursionError, AttributeError, *DAMAGE) as error:
        name = f"{MANIFEST} of {origin}" if origin else str(file)
        raise BundleError(f"{name} is no manifest ({error}). {location.remedy}") from error
    if manifest.metric != METRIC or manifest.pooling not in POOLINGS:
        raise BundleError(
            f"{location.name} names metric {manifest.metric!r} and pooling {manifest.pooling!r}; "
            f"expected {METRIC!r} and one of {', '.join(POOLINGS)}. {location.remedy}"
        )
    rows = INDEX_ROWS[manifest.pooling]
    if manifest.format_version >= OLDEST_READ and manifest.index_rows != rows:
        raise BundleError(
            f"{location.name} has an index of {manifest.index_rows!r}; expected {rows!r} for "
            f"pooling {manifest.pooling!r}. {location.remedy}"
        )
    return manifest


def sealed(manifest: Manifest) -> Manifest:
    """Return the manifest with the checksum of its content."""
    facts = json.loads(json.dumps(asdict(manifest)))  # as it is read: lists, no tuples
    return replace(manifest, checksum=checksum_of(facts))


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write manifest.json to a bundle's folder."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def checksum_of(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a parsed manifest in canonical JSON, without its checksum.

    Keys are sorted, and what is no ASCII is escaped: line breaks and the order of keys do not
    count.

    >>> checksum_of({"dim": 3, "checksum": "any"}) == checksum_of({"dim": 3})
    True
    """
    content = {key: value for key, value in facts.items() if key != "checksum"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_TYPES: Mapping[str, Any] = {"int": int, "str": str, "str | None": (str, type(None))}


def _check_types(manifest: Manifest) -> None:
    """ValueError if a value has another type than its field, or a file lies elsewhere."""
    for known in fields(manifest):
        kind, value = str(known.type), getattr(manifest, known.name)
        expected = _TYPES.get(kind, Mapping if kind.startswith("Mapping") else list)
        if not isinstance(value, expected) or (kind == "int" and value < 0):
            raise ValueError(f"{known.name} is {value!r:.60}; expected {kind}")
    for name, facts in manifest.files.items():
        if not stays_inside(name):
            raise ValueError(f"it names {name!r}, which is outside of the bundle")
        if not isinstance(facts["sha256"], str) or not isinstance(facts["bytes"], int):
            raise ValueError(f"no size or no hash of {name}")


def owned_files(folder: Path) -> tuple[str, ...] | None:
    """Return the bundle's files: those in its manifest, those of fixed names, the manifest last.

    None if the folder holds no manifest of a bundle, of whatever format version, so that
    nothing in it is ours. A damaged manifest counts as long as it names its writer.
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
    fixed = [CATALOG, VECTORS, MEANS, FRAMES, *FORMER_FILES]
    fixed += [f"{EMBEDDINGS}/{shard.name}" for shard in shards_in(folder / EMBEDDINGS)]
    return (*dict.fromkeys([*listed, *fixed]), MANIFEST)

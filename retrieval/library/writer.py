"""Write a bundle beside the old one, then swap it in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import SourceError
from retrieval.hub import (
    sha256_of,
)
from retrieval.library.catalog import (
    Record,
    count_licenses,
    write_catalog,
)
from retrieval.library.embeddings import (
    ROWS_PER_SHARD,
    GifFrames,
    write_shard,
)
from retrieval.library.faiss_index import KIND, IndexPlan, VectorIndex, plan_index
from retrieval.library.manifest import (
    CATALOG,
    EMBEDDINGS,
    EXACT,
    MANIFEST,
    MEDIA,
    VECTORS,
    Manifest,
    owned_files,
)
from retrieval.output import MARKER, StagedFolder

_SCRATCH = "vectors.f32"


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

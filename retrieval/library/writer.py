"""Write a bundle beside the old one, then swap it in.

A frame embedding is written once, to its shard; in a bundle too large for memory a second
time, as float16, to the file that a searcher maps.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import SourceError
from retrieval.hub import FileFacts, Known, remember_written, sha256_of
from retrieval.library.catalog import Record, count_licenses, write_catalog
from retrieval.library.embeddings import (
    ROWS_PER_SHARD,
    GifFrames,
    gif_means,
    read_shard,
    write_shard,
)
from retrieval.library.faiss_index import VectorIndex, map_vectors
from retrieval.library.index_plan import KIND, IndexPlan, plan_index
from retrieval.library.manifest import (
    CATALOG,
    DEFAULT_POOLING,
    EMBEDDINGS,
    FRAMES,
    INDEX_ROWS,
    MEANS,
    MEDIA,
    VECTORS,
    Manifest,
    owned_files,
    sealed,
    write_manifest,
)
from retrieval.output import MARKER, StagedFolder

# n × dim of the frame embeddings up to which a bundle holds them in memory: 64 MB.
MAX_COMPONENTS_IN_MEMORY = 16_777_216


class BundleWriter:
    """Write a bundle beside the one at `out`, and replace that once it is complete.

    Call in order: `write_embeddings`, `write_index`, `write_catalog`, any other file in
    `folder`, any `add_media`, `finish`. Exited early (it is a context manager), it leaves
    nothing behind. Files in `out` that the old bundle's manifest does not list, and all below
    `kept`, stay (StagedFolder).
    """

    def __init__(self, out: Path, dim: int, *, kept: Path | None = None):
        self._out, self._dim = out, dim
        self._staged = StagedFolder(out, owned_files, kept=kept)
        self._partial = self._staged.path
        (self._partial / EMBEDDINGS).mkdir()
        self._hashes: dict[str, str] = {}  # of files whose hash is known already
        self._plan: IndexPlan | None = None
        self._pooling = DEFAULT_POOLING
        self._vectors = np.zeros((0, dim), np.float32)
        self._starts = np.zeros(0, np.int64)
        self._counts: dict[str, Any] = {}

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(self, *raised: object) -> None:
        self._staged.__exit__(*raised)

    def write_embeddings(self, gifs: Iterable[GifFrames]) -> tuple[np.ndarray, np.ndarray]:
        """Write the shards, in bounded memory.

        Returns the frame embeddings (n, dim) and the row at which each GIF starts, int64
        (n_gifs,). The embeddings are float32 in memory if they are few; otherwise they are
        also written to frames.f16, and returned as float16 memory-mapped from there.
        """
        few = [np.zeros((0, self._dim), np.float32)]  # empty again once they are too many
        pending: list[GifFrames] = []
        folder, shards = self._partial / EMBEDDINGS, list[Path]()
        starts, n_rows, n_pending = [], 0, 0
        for gif in gifs:
            starts.append(n_rows)
            few.append(gif.vectors)
            pending.append(gif)
            n_rows += len(gif)
            n_pending += len(gif)
            if n_rows * self._dim > MAX_COMPONENTS_IN_MEMORY:
                few.clear()
            if n_pending >= ROWS_PER_SHARD:
                shards.append(folder / f"part-{len(shards):05}.parquet")
                write_shard(pending, self._dim, shards[-1])
                pending, n_pending = [], 0
        if pending or not shards:
            shards.append(folder / f"part-{len(shards):05}.parquet")
            write_shard(pending, self._dim, shards[-1])
        self._starts = np.array(starts, np.int64)
        if few:
            self._vectors = np.concatenate(few)
        else:
            self._vectors = self._write_half(FRAMES, (read_shard(f).vectors for f in shards))
        self._counts = {"n_gifs": len(starts), "n_frames": n_rows}
        return self._vectors, self._starts

    @property
    def folder(self) -> Path:
        """The new bundle while it is being written."""
        return self._partial

    def means(self) -> np.ndarray:
        """Return the GIFs' unit mean embeddings (n, dim), after `write_index`."""
        if (self._partial / MEANS).exists():
            return map_vectors(self._partial / MEANS, self._dim)
        return np.concatenate([*gif_means(self._vectors, self._starts)])

    def write_index(self, kind: str = "auto", pooling: str = DEFAULT_POOLING) -> IndexPlan:
        """Build the index: of GIF means, or of frames if the best frame is pooled."""
        self._pooling = pooling
        of_gifs = INDEX_ROWS[pooling] == "gifs"
        n = len(self._starts) if of_gifs else len(self._vectors)
        self._plan = plan = plan_index(n, self._dim, kind)
        if of_gifs:
            means = gif_means(self._vectors, self._starts)
            if plan.kind == KIND:
                rows = np.concatenate(list(means))
            else:
                rows = self._write_half(MEANS, means)
        elif plan.kind == KIND or (self._partial / FRAMES).exists():
            rows = self._vectors
        else:
            rows = self._vectors = self._write_half(FRAMES, [self._vectors])
        VectorIndex.build(rows, plan).save(self._partial / VECTORS)
        return plan

    def _write_half(self, name: str, blocks: Iterable[np.ndarray]) -> np.ndarray:
        """Write the rows as float16; returns them memory-mapped."""
        with (self._partial / name).open("wb") as file:
            for block in blocks:
                file.write(block.astype(np.float16).data)
        return map_vectors(self._partial / name, self._dim)

    def write_catalog(self, records: Sequence[Record]) -> None:
        write_catalog(records, self._partial / CATALOG)
        self._counts["licenses"] = count_licenses(records)

    def add_media(self, name: str, source: Path, sha256: str = "") -> None:
        """Add a file to media/. One of the old bundle is linked, others are copied.

        SourceError if the copy does not have this hash: the file was changed since it was
        embedded.
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
        """Write the manifest and swap the bundle in; returns the complete manifest."""
        if self._plan is None:
            raise ValueError("finish comes after write_index")
        if manifest.pooling != self._pooling:
            raise ValueError(f"the index was written for pooling {self._pooling}")
        del self._vectors
        files: dict[str, dict[str, Any]] = {}
        written: dict[str, Known] = {}
        for file in sorted(self._partial.rglob("*")):
            if file.is_file() and file.name != MARKER:
                name = file.relative_to(self._partial).as_posix()
                known = self._hashes.get(name) or sha256_of(file)
                facts = FileFacts.of(file.stat())
                files[name] = {"bytes": facts.size, "sha256": known}
                written[name] = facts, known
        manifest = replace(
            manifest,
            dim=self._dim,
            index_kind=self._plan.kind,
            index_rows=INDEX_ROWS[manifest.pooling],
            index_parameters=dict(self._plan.parameters),
            files=files,
            **self._counts,
        )
        manifest = sealed(manifest)
        write_manifest(manifest, self._partial)
        self._staged.commit()
        remember_written(self._out, written)
        return manifest

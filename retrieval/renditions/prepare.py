"""Make the renditions of a whole library ahead of its visitors."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import MediaError
from retrieval.renditions.store import RenditionStore

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Prepared:
    """What became of the renditions of a library."""

    n_made: int
    n_stored: int  # that were there before
    failed: Sequence[tuple[str, str]]  # id of a GIF, reason


def prepare_renditions(
    files: Sequence[tuple[str, Path]],
    store: RenditionStore,
    widths: Sequence[int],
    progress: Progress | None = None,
) -> Prepared:
    """Make the animations of (id, file) pairs that the store lacks, on all cores.

    A GIF that cannot be decoded is listed and does not stop the rest.
    """
    made = stored = 0
    failed: list[tuple[str, str]] = []

    def prepare(file: tuple[str, Path]) -> tuple[int, int, str]:
        gif_id, path = file
        missing = [width for width in widths if store.cached_animation(gif_id, width) is None]
        try:
            for width in missing:
                store.animation(gif_id, path, width)
        except MediaError as error:
            return 0, len(widths) - len(missing), str(error)
        return len(missing), len(widths) - len(missing), ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (n_made, n_stored, reason) in enumerate(pool.map(prepare, files), 1):
            made, stored = made + n_made, stored + n_stored
            if reason:
                failed.append((files[number - 1][0], reason))
            if progress:
                progress(number, len(files))
    return Prepared(made, stored, failed)

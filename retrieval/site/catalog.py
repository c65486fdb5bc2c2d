"""The catalogue as JSON columns: what the engine needs to filter GIFs and to show them.

One list per field, one entry per GIF; values that repeat (licences, sources, tags) are numbers
of a list of them. A third of the size of one object per GIF, and parsed faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from retrieval.api import file_name, media_of
from retrieval.library import FrameEmbeddings, Record, is_web_address
from retrieval.search import Searcher
from retrieval.signals import name_of


def catalog_columns(searcher: Searcher) -> dict[str, Any]:
    """Return the columns. A GIF whose file cannot be had has no `suffix`."""
    records: Sequence[Record] = searcher.collection.records
    frames = searcher.collection.embeddings
    kept = kept_frames(frames, searcher.means(np.arange(len(records))))
    media = [media_of(record, searcher) for record in records]
    columns: dict[str, Any] = {
        name: [getattr(record, name) for record in records]
        for name in ("id", "title", "emoji", "width", "height", "n_frames", "duration_ms")
    }
    return {
        **columns,
        "name": [name_of(record) for record in records],
        "group": searcher.collection.records.groups.tolist(),
        "suffix": [found.suffix if found.file else None for found in media],
        "bytes": [found.size_bytes for found in media],
        "web": [found.file if found.is_web else None for found in media],
        "file_name": [file_name(record.uri) for record in records],
        "frame": frames.frame_indices[kept].tolist(),
        "time_ms": frames.times_ms[kept].tolist(),
        "texts": {
            str(number): [
                [text.text, text.frame, text.time_ms, text.confidence, *text.box]
                for text in record.texts
            ]
            for number, record in enumerate(records)
            if record.texts
        },
        "tags": _numbered(records, lambda record: record.tags),
        **{
            name: _numbered(records, lambda record, name=name: (getattr(record, name),))
            for name in ("license", "source", "attribution")
        },
        "web_sources": sorted({r.source for r in records if is_web_address(r.source)}),
    }


def kept_frames(frames: FrameEmbeddings, means: np.ndarray) -> np.ndarray:
    """Return the row of the frame that shows each GIF best, int64 (n,).

    It is the one nearest to the GIF's mean (n, dim), the first of equals; a static site has a
    still of this frame only.
    """
    starts = frames.starts()
    ends = np.append(starts[1:], len(frames))
    rows = zip(starts.tolist(), ends.tolist(), means, strict=True)
    return np.array(
        [at + int(np.argmax(frames.vectors[at:end] @ mean)) for at, end, mean in rows], np.int64
    )


def _numbered(
    records: Sequence[Record], values_of: Callable[..., Iterable[str]]
) -> dict[str, list[Any]]:
    """Return {"values": what occurs, in order of appearance, "of": numbers of it by GIF}."""
    numbers: dict[str, int] = {}
    of = [
        [numbers.setdefault(value, len(numbers)) for value in values_of(record)]
        for record in records
    ]
    return {"values": list(numbers), "of": of}

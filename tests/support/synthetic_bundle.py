"""A large bundle made cheaply: records of their own over a few shared media files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from retrieval.encoders import Encoder
from retrieval.library import BundleWriter, GifFrames, Manifest, Record

WORDS = ("happy", "sad", "dance", "cat", "dog", "no", "yes", "clap", "wow", "tired", "coffee")
LICENSES = ("CC0-1.0", "MIT", "CC-BY-4.0", "unknown")
ALIKE_EVERY = 50  # one GIF in so many looks like the one before it


def write_synthetic_bundle(
    out: Path,
    media: Sequence[Path],
    vectors: Iterable[np.ndarray],
    encoder: Encoder,
    changes: Mapping[int, Mapping[str, Any]] = MappingProxyType({}),
) -> int:
    """Write a bundle of one frame a GIF, from blocks of unit vectors (n, dim); returns how many.

    GIF i shows the file `media[i % len(media)]`, and has a title, tags and a licence by number;
    `changes` are other values of a record's fields.
    """
    records: list[Record] = []

    def gifs() -> Iterable[GifFrames]:
        for block in vectors:
            for vector in block:
                record = _record(len(records), media)
                records.append(replace(record, **changes.get(len(records), {})))
                frame = np.zeros(1, np.int32)
                yield GifFrames(records[-1].id, frame, frame, vector[None].astype(np.float32))

    with BundleWriter(out, encoder.dim) as writer:
        writer.write_embeddings(gifs())
        writer.write_index()
        writer.write_catalog(records)
        for file in media:
            writer.add_media(file.name, file)
        writer.finish(
            Manifest(
                checkpoint=encoder.checkpoint.model,
                pretrained=encoder.checkpoint.tag,
                fingerprint=encoder.fingerprint,
                frames_per_gif=1,
                pooling="mean",
                source="folder synthetic",
            )
        )
    return len(records)


def _record(number: int, media: Sequence[Path]) -> Record:
    word, other = WORDS[number % len(WORDS)], WORDS[number // len(WORDS) % len(WORDS)]
    return Record(
        id=hashlib.sha256(str(number).encode()).hexdigest(),
        uri=f"media/{media[number % len(media)].name}",
        title=f"{word} {other} {number}",
        tags=(word, other),
        license=LICENSES[number % 97 % len(LICENSES)],
        source=f"https://example.org/{number % 3}",
        n_frames=12,
        duration_ms=500 + 37 * (number % 83),
        width=128,
        height=128,
        places=(f"{number}.gif",),
        group=number - 1 if number % ALIKE_EVERY == 1 else -1,
    )

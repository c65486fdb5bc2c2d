"""The starter's GIFs with texts in some of the pictures, as a bundle with all signals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from retrieval.encoders import Encoder, SentenceEncoder, load_reaction_texts
from retrieval.library import SIGNALS, Bundle, BundleWriter, GifFrames
from retrieval.media import PictureText
from retrieval.signals import write_signals

EVERY = 3  # one GIF in so many says something, every second of them two things


def write_worded_starter(
    starter: Bundle, out: Path, encoder: Encoder, sentences: SentenceEncoder
) -> None:
    """Write it; the texts are those that the reaction model has of what GIFs say."""
    said = [text.text for text in load_reaction_texts("says")]
    records = []
    for number, record in enumerate(starter.records):
        n = 0 if number % EVERY else 1 + number % 2
        texts = tuple(
            PictureText(said[(number * 7 + i) % len(said)], i, 100 * i, 0.9, (0.1, 0.2, 0.9, 0.4))
            for i in range(n)
        )
        records.append(replace(record, texts=texts))
    frames, starts = starter.embeddings, starter.embeddings.starts().tolist()
    ends = [*starts[1:], len(frames)]
    with BundleWriter(out, encoder.dim) as writer:
        writer.write_embeddings(
            GifFrames(
                record.id,
                frames.frame_indices[at:end],
                frames.times_ms[at:end],
                frames.vectors[at:end],
            )
            for record, at, end in zip(records, starts, ends, strict=True)
        )
        writer.write_index()
        writer.write_catalog(records)
        facts = write_signals(
            writer.folder, records, writer.means(), encoder, sentences, SIGNALS, {}
        )
        for record in records:
            writer.add_media(Path(record.uri).name, starter.path / record.uri)
        writer.finish(replace(starter.manifest, signals=SIGNALS, signal_facts=facts))

"""Small bundles of every index kind, and what opening and searching them gives when bytes change.

Each change is tried in a child process with bounded memory, so that a crash, a hang or gigabytes
are counted and not suffered. An outcome is a named error (RetrievalError), the same answers as
before, other answers, or an error without a name.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retrieval.encoders import Checkpoint
from retrieval.errors import RetrievalError
from retrieval.hub import verify
from retrieval.library import SIGNALS, Bundle, BundleWriter, GifFrames, Manifest, Record
from retrieval.library.embeddings import unit
from retrieval.library.index_plan import KINDS
from retrieval.library.manifest import MANIFEST, checksum_of
from retrieval.media import PictureText
from retrieval.search import Searcher, Term
from retrieval.signals import write_signals
from tests.support.manifests import accept_changes

DIM, N_GIFS, FRAMES = 16, 40, 2
VARIANTS = (*KINDS, "best-frame", "signals")
HANG_S = 20.0
MEMORY_BYTES = 4_000_000_000  # of a child; more is a MemoryError, which has no name

Change = tuple[str, int, int, int]  # file, position, byte that is xored, how many bytes


class HashEncoder:
    """Texts as directions that depend on their letters alone; no pictures."""

    dim, precision, precision_note = DIM, "float32", ""
    checkpoint = Checkpoint.parse("hash")
    label, fingerprint = "hash", "0" * 64

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        return _directions(texts, DIM)

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        return _directions(texts, 384)


def _directions(texts: Sequence[str], dim: int) -> np.ndarray:
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") for text in texts]
    rows = [np.random.default_rng(seed).standard_normal(dim) for seed in seeds]
    return unit(np.array(rows, np.float32).reshape(-1, dim)).astype(np.float32)


def write_small_bundle(out: Path, variant: str) -> Path:
    """Write a bundle of one of VARIANTS, with two media files; returns its folder."""
    rng = np.random.default_rng(7)
    media = []
    for number in range(2):
        media.append(out.with_name(f"{out.name}-{number}.gif"))
        Image.new("P", (4, 4), number).save(media[-1])
    records = []
    for number in range(N_GIFS):
        words = (PictureText(f"words {number}", 0, 0, 0.9, (0.1, 0.1, 0.9, 0.9)),)
        gif_id = hashlib.sha256(str(number).encode()).hexdigest()
        uri = f"media/{media[number].name}" if number < 2 else f"https://a.b/{number}.gif"
        records.append(Record(gif_id, uri, f"name {number}", ("a",), texts=words))
    frame = np.arange(FRAMES, dtype=np.int32)
    encoder: Any = HashEncoder()
    pooling = "best_frame" if variant == "best-frame" else "mean"
    kind = variant if variant in KINDS else "rabitq" if variant == "best-frame" else "flat"
    with BundleWriter(out, DIM) as writer:
        vectors = unit(rng.standard_normal((N_GIFS, FRAMES, DIM))).astype(np.float32)
        writer.write_embeddings(
            GifFrames(record.id, frame, frame, rows)
            for record, rows in zip(records, vectors, strict=True)
        )
        writer.write_index(kind, pooling)
        writer.write_catalog(records)
        facts: dict[str, Any] = {}
        if variant == "signals":
            facts = write_signals(
                writer.folder, records, writer.means(), encoder, encoder, SIGNALS, {}
            )
        for file in media:
            writer.add_media(file.name, file)
        manifest = Manifest("hash", None, encoder.fingerprint, FRAMES, pooling)
        if facts:
            manifest = Manifest(
                "hash", None, encoder.fingerprint, FRAMES, pooling, signals=list(SIGNALS),
                signal_facts=facts,
            )  # fmt: skip
        writer.finish(manifest)
    return out


def answers(bundle: Path) -> list[tuple[str, float]]:
    """What a bundle answers to two messages, and what it says of its first GIF."""
    searcher = Searcher(Bundle.open(bundle), HashEncoder())  # type: ignore[arg-type]
    found: list[tuple[str, float]] = []
    for message in ("name 7", 'so "words 3"'):
        for result in searcher.search(searcher.understand([Term(message)]), 5):
            record = result.record
            found.append((f"{record} {result.best_frame}", round(result.score, 5)))
    return found


def every_change(bundle: Path, whole_up_to: int, step: int, seed: int = 1) -> Iterator[Change]:
    """One byte at a time: all of a file of at most so many bytes, else each `step`th."""
    rng = random.Random(seed)
    for file in sorted(path for path in bundle.rglob("*") if path.is_file()):
        size = file.stat().st_size
        for at in range(0, size, 1 if size <= whole_up_to else step):
            yield file.relative_to(bundle).as_posix(), at, rng.randrange(1, 256), 1


def random_changes(bundle: Path, n: int, seed: int = 2) -> Iterator[Change]:
    """n changes, spread over the files: single bytes, and runs of eight as of a wild count."""
    rng = random.Random(seed)
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and path.stat().st_size)
    for number in range(n):
        file = files[number % len(files)]
        size = file.stat().st_size
        # Headers and footers hold the counts.
        near = rng.choice([rng.randrange(size), rng.randrange(min(size, 200)),
                           size - 1 - rng.randrange(min(size, 2000))])  # fmt: skip
        mask = rng.choice([255, 128, 1, rng.randrange(1, 256)])
        yield file.relative_to(bundle).as_posix(), near, mask, rng.choice([1, 1, 2, 8])


@dataclass
class Outcomes:
    """Counts of what changes led to."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    peak_mb: float = 0.0

    def note(self, outcome: str, change: Change, detail: str = "") -> None:
        self.counts[outcome] += 1
        self.examples.setdefault(f"{outcome}: {change[0]}", f"{change} {detail}")

    def __str__(self) -> str:
        names = ("named error", "identical", "other answers", "unnamed error", "hang", "crash")
        counts = ", ".join(f"{self.counts[name]:,} {name}" for name in names)
        return f"{sum(self.counts.values()):,} changes: {counts}; {self.peak_mb:,.0f} MB at most"


def try_changes(bundle: Path, changes: Iterable[Change], *, accept: bool = False) -> Outcomes:
    """Try each change on its own; `accept`: the manifest's hashes are made to fit, as a stranger's
    would, so that the parsers see the bytes."""
    outcomes, remaining = Outcomes(), iter(changes)
    context = multiprocessing.get_context("spawn")
    pending: list[Change] = []
    while pending := pending or list(islice(remaining, 2_000)):
        ours, theirs = context.Pipe()
        child = context.Process(target=_child, args=(theirs, bundle, pending, accept), daemon=True)
        child.start()
        theirs.close()
        failed = _receive(ours, pending, outcomes)
        if failed:
            outcomes.note(failed, pending.pop(0))
        child.kill()
        child.join()
        ours.close()
    return outcomes


def _receive(ours: Connection, pending: list[Change], outcomes: Outcomes) -> str:
    """Take a child's results off `pending`; how it failed at the first that is left, if it did."""
    wait_s = 120.0  # for its imports
    while pending:
        try:
            if not ours.poll(wait_s):
                return "hang"
            outcome, detail, peak_mb = ours.recv()
        except EOFError:
            return "crash"
        wait_s = HANG_S
        if outcome != "ready":
            outcomes.note(outcome, pending.pop(0), detail)
        outcomes.peak_mb = max(outcomes.peak_mb, peak_mb)
    return ""


def _child(results: Connection, bundle: Path, changes: Sequence[Change], accept: bool) -> None:
    os.environ["XDG_CACHE_HOME"] = os.devnull  # nothing is remembered: each try reads the files
    verify.TICK_NS = 0  # so that nothing needs to wait for a file's time of change to settle
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, of this process until its end
    expected = answers(bundle)
    results.send(("ready", "", 0.0))
    before_mb = _peak_mb()
    for name, at, mask, n in changes:
        file = bundle / name
        original, manifest = file.read_bytes(), (bundle / MANIFEST).read_bytes()
        changed = bytearray(original)
        for place in range(at, min(at + n, len(changed))):
            changed[place] ^= mask
        _overwrite(file, changed)
        try:
            if accept:
                _accept(bundle, name)
            outcome, detail = _outcome(lambda: answers(bundle), expected)
        finally:
            _overwrite(file, original)
            if accept and name != MANIFEST:
                _overwrite(bundle / MANIFEST, manifest)
        results.send((outcome, detail, _peak_mb() - before_mb))


def _outcome(
    ask: Callable[[], list[tuple[str, float]]], expected: list[tuple[str, float]]
) -> tuple[str, str]:
    try:
        found = ask()
    except RetrievalError as error:
        return "named error", str(error)[:200]
    except Exception as error:
        return "unnamed error", repr(error)[:200]
    return ("identical", "") if found == expected else ("other answers", "")


def _accept(bundle: Path, name: str) -> None:
    if name != MANIFEST:
        accept_changes(bundle)
        return
    import json

    try:
        facts = json.loads((bundle / MANIFEST).read_text("utf-8"))
        facts["checksum"] = checksum_of(facts)
        (bundle / MANIFEST).write_text(json.dumps(facts), "utf-8")
    except (ValueError, TypeError):
        return  # no JSON any more: the change stays as it is


def _overwrite(file: Path, data: bytes | bytearray) -> None:
    """In place, so that a catalogue that was parsed before is not taken for this one."""
    with file.open("r+b") as opened:
        opened.write(data)
        opened.truncate()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

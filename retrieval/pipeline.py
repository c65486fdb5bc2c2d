"""Media to frame embeddings: decoding beside encoding, in bounded memory.

Worker threads fetch, decode and resize; the calling thread encodes. Batches are full
across GIFs. A picture that was just encoded is not encoded again.

One bad file never stops the rest and never shifts its neighbours: it comes out in its
place with the reason.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from retrieval.catalog import Facts
from retrieval.embeddings import GifFrames
from retrieval.encoder import BATCH_SIZE, Encoder
from retrieval.errors import MediaError
from retrieval.frames import DEFAULT_FRAMES, Limits, Media, convert_media

# GIFs that may wait, decoded and resized, for the encoder: enough for it never to wait,
# and 40 MB at 8 frames of 224 × 224.
AHEAD = 32
WORKERS = max(2, os.cpu_count() or 2)  # threads that decode
# GIFs that may wait for a batch to fill up, pixels and all: pictures that were encoded before
# fill none, and 10,000 near-copies of 267 GIFs once waited in 1.2 GB.
WAITING = 64
REMEMBERED = 4_096  # embeddings of the latest different pictures, 8 MB at dim 512

T = TypeVar("T")


@dataclass
class Seconds:
    """Where the time went; those of the workers are of their threads' processors."""

    decode: float = 0.0  # demux, decode, compare, resize: processor time in the workers
    encode: float = 0.0  # time in the calling thread
    wait: float = 0.0  # of the calling thread for the workers


@dataclass(frozen=True)
class Work(Generic[T]):
    """One thing to embed. `read`, called in a worker, brings its bytes, or the SHA-256 of
    bytes that came before; it may raise MediaError. `keep` gets their SHA-256 and them."""

    subject: T
    read: Callable[[], bytes | str]
    keep: Callable[[str, bytes], object] | None = None


@dataclass(frozen=True)
class Done(Generic[T]):
    """What came of one thing, in the order they were given.

    Exactly one of `frames` and `error` is set, or neither for bytes that need no
    embedding: `gif_id` then says whose they are.
    """

    subject: T
    gif_id: str = ""  # SHA-256 of the bytes; "" if there are none
    facts: Facts | None = None
    frames: GifFrames | None = None
    error: MediaError | None = None


@dataclass
class _Decoded(Generic[T]):
    subject: T
    gif_id: str = ""
    media: Media[np.ndarray] | None = None
    error: MediaError | None = None
    rows: list[np.ndarray | None] = field(default_factory=list)


class Pipeline:
    """Embeds media with one encoder and one set of settings, and counts the seconds."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        frames: int = DEFAULT_FRAMES,
        limits: Limits | None = None,
        readers: int = WORKERS,
        pad: bool = False,
    ):
        """`readers` threads read at a time, at most WORKERS of which decode.

        With `pad`, the last batch is filled up to the size of the others: torch's
        bfloat16 gives another last bit in a smaller one.
        """
        self.seconds = Seconds()
        self.n_pictures = 0  # that went through the encoder
        self._encoder, self._frames, self._limits = encoder, frames, limits
        self._readers, self._pad = readers, pad
        self._decoding = threading.Semaphore(WORKERS)
        self._known: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def run(
        self, work: Iterable[Work[T]], is_known: Callable[[str], bool] = lambda gif_id: False
    ) -> Iterator[Done[T]]:
        """What came of each, in order.

        Bytes whose SHA-256 `is_known`, or that came before, are not decoded.
        """
        claimed: set[str] = set()

        def decode(piece: Work[T]) -> _Decoded[T]:
            try:
                data = piece.read()
            except MediaError as error:
                return _Decoded(piece.subject, error=error)
            if isinstance(data, str):
                return _Decoded(piece.subject, data)
            gif_id = hashlib.sha256(data).hexdigest()
            if piece.keep and data:
                piece.keep(gif_id, data)
            if is_known(gif_id) or gif_id in claimed:
                return _Decoded(piece.subject, gif_id)
            claimed.add(gif_id)
            with self._decoding:
                busy = time.thread_time()
                try:
                    media = convert_media(data, self._encoder.prepare, self._frames, self._limits)
                except MediaError as error:
                    return _Decoded(piece.subject, gif_id, error=error)
                finally:
                    self.seconds.decode += time.thread_time() - busy
            return _Decoded(piece.subject, gif_id, media, rows=[None] * len(media.frames))

        waiting: deque[_Decoded[T]] = deque()  # not yet wholly encoded, in order
        batch: list[tuple[bytes, np.ndarray]] = []  # (digest, pixels), all different
        homes: dict[bytes, list[tuple[_Decoded[T], int]]] = {}  # digest → where it is wanted
        for decoded in self._ahead(decode, work):
            waiting.append(decoded)
            for number, frame in enumerate(decoded.media.frames if decoded.media else ()):
                digest = hashlib.blake2b(frame.image.tobytes(), digest_size=16).digest()
                if digest in self._known:
                    self._known.move_to_end(digest)
                    decoded.rows[number] = self._known[digest]
                elif digest in homes:
                    homes[digest].append((decoded, number))
                else:
                    homes[digest] = [(decoded, number)]
                    batch.append((digest, frame.image))
                if len(batch) == BATCH_SIZE:
                    self._encode(batch, homes)
            yield from self._finished(waiting)
            if batch and len(waiting) >= WAITING:
                self._encode(batch, homes)
                yield from self._finished(waiting)
        if batch:
            self._encode(batch, homes)
        yield from self._finished(waiting)

    def _ahead(
        self, decode: Callable[[Work[T]], _Decoded[T]], work: Iterable[Work[T]]
    ) -> Iterator[_Decoded[T]]:
        """`decode` of each, in order, a few worked on at a time."""
        pool = ThreadPoolExecutor(self._readers, thread_name_prefix="decode")
        futures: deque[Future[_Decoded[T]]] = deque()
        pieces = iter(work)
        try:
            while True:
                while len(futures) < AHEAD + self._readers:
                    piece = next(pieces, None)
                    if piece is None:
                        break
                    futures.append(pool.submit(decode, piece))
                if not futures:
                    return
                start = time.perf_counter()
                decoded = futures.popleft().result()
                self.seconds.wait += time.perf_counter() - start
                yield decoded
        finally:
            pool.shutdown(cancel_futures=True)

    def _encode(
        self,
        batch: list[tuple[bytes, np.ndarray]],
        homes: dict[bytes, list[tuple[_Decoded[T], int]]],
    ) -> None:
        """Embed the batch, hand its rows out, and empty it."""
        start = time.perf_counter()
        pixels = [picture for _, picture in batch]
        if self._pad and _same_shape(pixels):
            pixels += [pixels[0]] * (BATCH_SIZE - len(pixels))
        rows = self._encoder.encode_pixels(pixels)
        self.n_pictures += len(batch)
        for (digest, _), row in zip(batch, rows[: len(batch)], strict=True):
            self._known[digest] = row
            for decoded, number in homes.pop(digest):
                decoded.rows[number] = row
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        batch.clear()
        self.seconds.encode += time.perf_counter() - start

    def _finished(self, waiting: deque[_Decoded[T]]) -> Iterator[Done[T]]:
        while waiting and all(row is not None for row in waiting[0].rows):
            done = waiting.popleft()
            if done.media is None:
                yield Done(done.subject, done.gif_id, error=done.error)
                continue
            frames = done.media.frames
            yield Done(
                done.subject,
                done.gif_id,
                Facts(
                    done.media.n_frames, done.media.duration_ms, done.media.width, done.media.height
                ),
                GifFrames(
                    done.gif_id,
                    np.array([frame.index for frame in frames], np.int32),
                    np.array([frame.time_ms for frame in frames], np.int32),
                    np.stack([row for row in done.rows if row is not None]),
                ),
            )


def _same_shape(pictures: list[np.ndarray]) -> bool:
    return len({picture.shape for picture in pictures}) == 1

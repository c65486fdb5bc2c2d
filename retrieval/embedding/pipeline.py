"""Media to frame embeddings: decoding and encoding in parallel, in bounded memory.

Worker threads read, have worker processes decode and resize (`retrieval.decoding`), and read the
words in the pictures if they are given a reader for that; another encodes, while the calling thread
fills the next batch. Batches span GIFs. Recently encoded pictures are not encoded again.

A bad file never stops or misaligns the rest: its result is an error in its place. The
pipeline can be cancelled from another thread.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from retrieval.decoding import Decoded, decode_frames, without_traceback
from retrieval.encoders import BATCH_SIZE, Encoder
from retrieval.errors import MediaError, RetrievalError, StoppedError, UnavailableError
from retrieval.library import GifFrames
from retrieval.media import DEFAULT_FRAMES, Facts, Limits, PictureText, Stop
from retrieval.ocr import TextReader
from retrieval.sandbox import Sandbox


@dataclass(frozen=True)
class Skipped:
    """A skipped file or row ("urls.csv line 12"), and the reason."""

    path: str
    reason: str


# Decoded GIFs queued for the encoder: enough to keep it busy, 40 MB at 8 frames of 224 × 224.
AHEAD = 32
WORKERS = max(2, os.cpu_count() or 2)  # threads that decode
STOP_POLL_S = 0.1  # interval between checks for cancellation
# GIFs whose frames are not all encoded, with their pixels (190 MB): more than two batches of
# stills. Pictures encoded before fill no batch, so without this limit 10,000 near-copies of
# 267 GIFs waited for a full batch in 1.2 GB.
WAITING = 160
REMEMBERED = 4_096  # cached embeddings of recent pictures, 8 MB at dim 512

T = TypeVar("T")
Progress = Callable[[int, "int | None"], None]  # (files done, files in all, if that is known)
R = TypeVar("R")


@dataclass
class StageTimings:
    """Seconds spent in each stage."""

    decode: float = 0.0  # demux, decode, compare, resize: CPU time of the worker processes
    encode: float = 0.0  # the encoder was busy
    wait: float = 0.0  # the encoder waited for a batch
    read: float = 0.0  # words in pictures: time of the worker threads (OpenVINO has its own)


@dataclass(frozen=True)
class Work(Generic[T]):
    """A file to embed. `read`, called in a worker, returns its bytes, or the SHA-256 of known
    ones; it may raise MediaError. `keep` is called with the SHA-256 and the bytes."""

    subject: T
    read: Callable[[], bytes | str]
    keep: Callable[[str, bytes], object] | None = None


@dataclass(frozen=True)
class Done(Generic[T]):
    """The result for one file, in input order.

    Exactly one of `frames` and `error` is set, or neither for bytes that are known already:
    `gif_id` identifies them. `unread` says why the words in its pictures could not be read.
    """

    subject: T
    gif_id: str = ""  # SHA-256 of the bytes; "" if they could not be read
    facts: Facts | None = None
    frames: GifFrames | None = None
    error: MediaError | None = None
    unread: str = ""


@dataclass
class _Decoded(Generic[T]):
    """A result, and the pictures whose embeddings are still to be written to its vectors."""

    done: Done[T]
    pictures: list[np.ndarray] = field(default_factory=list)
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    n_missing: int = 0


class Pipeline:
    """Embeds media with one encoder and one set of settings, and measures its stages."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        frames: int = DEFAULT_FRAMES,
        limits: Limits | None = None,
        readers: int = WORKERS,
        pad: bool = False,
        stop: Stop | None = None,
        decoders: int = WORKERS,
        reader: Callable[[], TextReader] | None = None,
        sandbox: Sandbox | None = None,
    ):
        """`readers` threads read concurrently, at most `decoders` of which decode.

        With `pad`, the last batch is padded to the size of the others: in a smaller one,
        torch's bfloat16 results differ in the last bit.

        `stop` is called from several threads, several times a second. Once it returns True,
        `run` raises StoppedError, and its threads end after their current frame or batch.

        `reader` makes what reads the words in the pictures, at most one per decoder. Over 314
        GIFs on 2 cores, two readers of one thread took 58 and 59 s of CPU time, one reader of two
        threads 67 and 70 s (and 500 MB less). `sandbox` decodes (see `decode_frames`).
        """
        self.timings = StageTimings()
        self.n_pictures = 0  # encoded
        self._encoder, self._frames, self._limits = encoder, frames, limits
        self._readers, self._pad = readers, pad
        self._stop = stop
        self._decoding = threading.Semaphore(decoders)
        self._make_reader = reader
        self._sandbox = sandbox
        # Made readers that no thread uses: threads end with each `run`, and there may be more
        # of them than decoders.
        self._readers_at_rest: deque[TextReader] = deque()
        self._idle_since = 0.0

    def run(
        self, work: Iterable[Work[T]], is_known: Callable[[str], bool] = lambda gif_id: False
    ) -> Iterator[Done[T]]:
        """Yield the result of each, in order.

        Bytes whose SHA-256 `is_known`, or that occurred before, are not decoded. When the
        caller closes the iterator, decoding is cancelled.
        """
        claimed: set[str] = set()
        is_over = threading.Event()

        def stop() -> bool:
            return is_over.is_set() or self._is_stopped()

        def decode(piece: Work[T]) -> _Decoded[T]:
            if stop():
                raise StoppedError
            try:
                data = piece.read()
            except MediaError as error:
                return _Decoded(Done(piece.subject, error=without_traceback(error)))
            if isinstance(data, str):
                return _Decoded(Done(piece.subject, data))
            gif_id = hashlib.sha256(data).hexdigest()
            if piece.keep and data:
                piece.keep(gif_id, data)
            if is_known(gif_id) or gif_id in claimed:
                return _Decoded(Done(piece.subject, gif_id))
            claimed.add(gif_id)
            with self._decoding:
                try:
                    media = self._decode(data, stop)
                except MediaError as error:
                    return _Decoded(Done(piece.subject, gif_id, error=without_traceback(error)))
                except RetrievalError:
                    raise
                except Exception as error:
                    # Not an error of the decoders, so a later version or more memory may
                    # help: the file is tried again next time.
                    reason = f"cannot be prepared for encoding ({type(error).__name__}: {error})"
                    return _Decoded(Done(piece.subject, gif_id, error=UnavailableError(reason)))
                self.timings.decode += media.cpu_s
                facts, unread = media.facts, ""
                if self._make_reader:
                    texts, unread = self._read(media.to_read, stop)
                    facts = replace(facts, texts=texts)
            pictures = [frame.pixels for frame in media.frames]
            places = np.array([(frame.index, frame.time_ms) for frame in media.frames], np.int32)
            vectors = np.empty((len(places), self._encoder.dim), np.float32)
            frames = GifFrames(gif_id, places[:, 0], places[:, 1], vectors)
            done = Done(piece.subject, gif_id, facts, frames, unread=unread)
            return _Decoded(done, pictures, vectors, len(vectors))

        self._idle_since = time.perf_counter()
        waiting: deque[_Decoded[T]] = deque()  # not yet completely encoded, in order
        worker = ThreadPoolExecutor(1, thread_name_prefix="encode")
        try:
            batches: _Batches[T] = _Batches(
                lambda pixels: worker.submit(self._encode, pixels), self._result
            )
            for decoded in self._ahead(decode, work):
                if decoded is not None:
                    waiting.append(decoded)
                    for row, pixels in enumerate(decoded.pictures):
                        batches.add(decoded, row, pixels)
                batches.collect()
                if decoded is None or len(waiting) >= WAITING:
                    batches.finish()
                while waiting and not waiting[0].n_missing:
                    yield waiting.popleft().done
        finally:
            is_over.set()
            worker.shutdown(wait=not self._is_stopped(), cancel_futures=True)

    def _decode(self, data: bytes, stop: Stop) -> Decoded:
        prepare, reads = self._encoder.prepare, self._make_reader is not None
        return decode_frames(
            data, prepare, self._frames, self._limits, stop, to_read=reads, sandbox=self._sandbox
        )

    def _read(
        self, frames: list[tuple[int, int, np.ndarray]], stop: Stop
    ) -> tuple[tuple[PictureText, ...], str]:
        """(texts, "") or ((), why they cannot be read); a damaged model raises an error."""
        start = time.perf_counter()
        assert self._make_reader
        try:
            reader = self._readers_at_rest.pop()
        except IndexError:
            reader = self._make_reader()
            reader.load()
        try:
            return reader.read(frames, stop), ""
        except RetrievalError:
            raise
        except Exception as error:  # whatever the engine raises at one picture
            return (), f"{type(error).__name__}: {error}"
        finally:
            self._readers_at_rest.append(reader)
            self.timings.read += time.perf_counter() - start

    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop()

    def _result(self, future: Future[R]) -> R:
        """The future's result; StoppedError once the pipeline is cancelled."""
        while self._stop:
            if self._is_stopped():
                raise StoppedError
            if wait([future], STOP_POLL_S).done:
                break
        return future.result()

    def _ahead(
        self, decode: Callable[[Work[T]], _Decoded[T]], work: Iterable[Work[T]]
    ) -> Iterator[_Decoded[T] | None]:
        """Results of `decode`, in order, computed a few items ahead; None after the last."""
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
                    yield None
                    return
                yield self._result(futures.popleft())
        finally:
            pool.shutdown(wait=not self._is_stopped(), cancel_futures=True)

    def _encode(self, pixels: list[np.ndarray]) -> np.ndarray:
        """Encode a batch; runs in the encoding thread."""
        start = time.perf_counter()
        self.timings.wait += start - self._idle_since
        n = len(pixels)
        if self._pad and len({picture.shape for picture in pixels}) == 1:
            pixels = pixels + [pixels[0]] * (BATCH_SIZE - n)
        rows = self._encoder.encode_pixels(pixels)[:n]
        self.n_pictures += n
        self._idle_since = time.perf_counter()
        self.timings.encode += self._idle_since - start
        return rows


class _Batches(Generic[T]):
    """Double-buffered batches: one is filled while another is encoded."""

    def __init__(
        self,
        start: Callable[[list[np.ndarray]], Future[np.ndarray]],
        result: Callable[[Future[np.ndarray]], np.ndarray],
    ):
        self._start, self._result = start, result
        self._known: OrderedDict[bytes, np.ndarray] = OrderedDict()  # digest → embedding
        self._homes: dict[bytes, list[tuple[_Decoded[T], int]]] = {}  # digest → rows waiting for it
        self._batch: dict[bytes, np.ndarray] = {}  # digest → pixels
        self._encoding: tuple[list[bytes], Future[np.ndarray]] | None = None

    def add(self, decoded: _Decoded[T], row: int, pixels: np.ndarray) -> None:
        """Fill this row of `decoded`, now or when its batch is encoded."""
        digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
        if digest in self._known:
            self._known.move_to_end(digest)
            decoded.vectors[row] = self._known[digest]
            decoded.n_missing -= 1
        elif digest in self._homes:
            self._homes[digest].append((decoded, row))
        else:
            self._homes[digest] = [(decoded, row)]
            self._batch[digest] = pixels
            if len(self._batch) == BATCH_SIZE:
                self._swap()

    def finish(self) -> None:
        """Encode the last, incomplete batch and fill all rows."""
        self._swap()
        self._swap()

    def collect(self) -> None:
        """Fill the rows of an encoded batch; the next may take seconds to be full."""
        if self._encoding and self._encoding[1].done():
            self._fill()

    def _swap(self) -> None:
        """Fill the rows of the batch being encoded, then have the other one encoded."""
        self._fill()
        if self._batch:
            self._encoding = list(self._batch), self._start(list(self._batch.values()))
            self._batch = {}

    def _fill(self) -> None:
        if self._encoding:
            digests, future = self._encoding
            for digest, vector in zip(digests, self._result(future), strict=True):
                self._known[digest] = vector
                for decoded, row in self._homes.pop(digest):
                    decoded.vectors[row] = vector
                    decoded.n_missing -= 1
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._encoding = None

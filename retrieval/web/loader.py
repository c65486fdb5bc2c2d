"""Load a searcher beside the page, so that the page can be used meanwhile."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retrieval.encoders import Encoder, Pixels
from retrieval.errors import RetrievalError
from retrieval.hub import is_address
from retrieval.library import MANIFEST, Bundle
from retrieval.search import Searcher, encoder_of

# Shares of the wait, as the bar shows it: the checkpoint is most of it.
STEPS = {"loading_index": 0.1, "loading_checkpoint": 0.3}


# That a message may have to wait for: a ViT-B-32 encodes 17 a second on two cores.
PICTURES_AT_ONCE = 4


class OneThreadEncoder:
    """An encoder that works in one thread of its own, whoever calls.

    A page runs in a new thread each time, and torch sets up its own threads anew for
    each: with a checkpoint in torch a warm message took 100 ms and more that way, and takes
    7 ms this way. It also keeps twenty people's queries from fighting over two cores.
    """

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self.checkpoint, self.label = encoder.checkpoint, encoder.label
        self.dim, self.fingerprint = encoder.dim, encoder.fingerprint
        self.precision, self.precision_note = encoder.precision, encoder.precision_note
        self.prepare = encoder.prepare

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self._in_pieces(self._encoder.encode_images, images)

    def encode_pixels(self, pixels: Pixels) -> np.ndarray:
        return self._in_pieces(self._encoder.encode_pixels, pixels)

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        return self._worker.submit(self._encoder.encode_text, texts).result()

    def _in_pieces(self, encode: Callable[[Any], np.ndarray], pictures: Any) -> np.ndarray:
        """Encode a few pictures at a time: a message that comes meanwhile waits for no more."""
        starts = range(0, max(1, len(pictures)), PICTURES_AT_ONCE)
        pieces = [pictures[start : start + PICTURES_AT_ONCE] for start in starts]
        return np.concatenate([self._worker.submit(encode, piece).result() for piece in pieces])


RETRY_AFTER_S = 5.0

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_latest: dict[tuple[str, int, str], Loading] = {}  # one at the most


def loading(where: Path | str, checkpoint: str = "") -> Loading:
    """The loading of a bundle, begun by whoever asks first; again if the bundle was rebuilt,
    or if it failed a while ago.

    One on the Hub stays at the commit that it was loaded at.
    """
    changed_ns = 0
    with suppress(OSError):
        changed_ns = 0 if is_address(where) else (Path(where) / MANIFEST).stat().st_mtime_ns
    key = (str(where), changed_ns, checkpoint)
    with _lock:
        known = _latest.get(key)
        if known is None or known.failed_s > RETRY_AFTER_S:
            _latest.clear()
            known = _latest[key] = Loading(where, checkpoint)
        return known


class Loading:
    """A searcher on its way: the step it is at, and in the end the searcher or the error."""

    def __init__(self, path: Path | str, checkpoint: str = ""):
        self.path = path  # or an address on the Hub
        self._checkpoint = checkpoint
        self.step = "loading_index"  # one of STEPS, a key of retrieval.web.translations
        self.searcher: Searcher | None = None
        self.error: RetrievalError | None = None
        self._failed_at_s = 0.0
        self._ended = threading.Event()
        threading.Thread(target=self._load, daemon=True).start()

    @property
    def fraction(self) -> float:
        """How far the step is along, from 0 to 1, for a progress bar."""
        return STEPS[self.step]

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    @property
    def failed_s(self) -> float:
        """How many seconds ago it failed; 0 if it did not."""
        return time.monotonic() - self._failed_at_s if self.error else 0.0

    def wait(self, timeout_s: float) -> bool:
        """Wait for the searcher or the error, at most that long; whether it has come."""
        return self._ended.wait(timeout_s)

    def _load(self) -> None:
        try:
            self._load_all()
        except RetrievalError as error:
            self._fail(error)
        except Exception as error:  # a thread's traceback would reach no one
            self._fail(RetrievalError(f"{self.path} could not be loaded: {error!r}"))

    def _fail(self, error: RetrievalError) -> None:
        _log.error("%s", error)  # the page shows it without paths
        self._failed_at_s = time.monotonic()
        self.error = error
        self._ended.set()

    def _load_all(self) -> None:
        bundle = Bundle.open(self.path)
        self.step = "loading_checkpoint"
        checkpoint = encoder_of(bundle, self._checkpoint)
        encoder = OneThreadEncoder(checkpoint)
        # The first of each costs ten times the second; nobody should wait for it.
        encoder.encode_text(["I got the job!"])
        self.searcher = Searcher(bundle, encoder)
        self._ended.set()
        # Messages are answered meanwhile: a ViT-B-32's image tower takes a second to load.
        checkpoint.encode_images([Image.new("RGB", (64, 64), "white")])
        # A full garbage collection walks the objects of torch and transformers, which
        # takes 300 ms and holds up every page: they are here to stay.
        gc.collect()
        gc.freeze()

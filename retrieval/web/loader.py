"""Load a searcher in the background, so that the page can be used meanwhile."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retrieval.encoders import Encoder, Pixels, SentenceEncoder, languages_of
from retrieval.errors import RetrievalError
from retrieval.hub import is_address
from retrieval.library import Bundle, version_of
from retrieval.search import Searcher, Term, encoder_of

# Progress at the start of each step, from 0 to 1: loading the checkpoint takes longest.
STEPS = {"loading_index": 0.1, "loading_checkpoint": 0.3}

# Images per batch, for which a message may have to wait: a ViT-B-32 encodes 17 a second on
# two cores.
IMAGES_AT_ONCE = 4
RETRY_AFTER_S = 5.0


class OneThreadEncoder:
    """An encoder whose calls all run in one thread of its own.

    Streamlit runs a page in a new thread each time, and torch starts its own threads again
    for each: a warm message took over 100 ms with a checkpoint in torch, and takes 7 ms this
    way. It also keeps concurrent queries from competing for two cores.
    """

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self.checkpoint, self.label = encoder.checkpoint, encoder.label
        self.dim, self.fingerprint = encoder.dim, encoder.fingerprint
        self.precision, self.precision_note = encoder.precision, encoder.precision_note
        self.prepare = encoder.prepare
        if isinstance(encoder, SentenceEncoder):
            self._sentences = encoder.encode_sentences
            self.encode_sentences = self._encode_sentences  # only if the encoder has it

    def _encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        return self._worker.submit(self._sentences, texts).result()

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self._in_batches(self._encoder.encode_images, images)

    def encode_pixels(self, pixels: Pixels) -> np.ndarray:
        return self._in_batches(self._encoder.encode_pixels, pixels)

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        return self._worker.submit(self._encoder.encode_text, texts).result()

    def _in_batches(self, encode: Callable[[Any], np.ndarray], images: Any) -> np.ndarray:
        """Encode a few images at a time, so that a message waits for one batch at most."""
        starts = range(0, max(1, len(images)), IMAGES_AT_ONCE)
        batches = [images[start : start + IMAGES_AT_ONCE] for start in starts]
        return np.concatenate([self._worker.submit(encode, batch).result() for batch in batches])


_log = logging.getLogger(__name__)
_lock = threading.Lock()
_latest: dict[tuple[str, tuple[int, ...] | None, str], Loading] = {}  # at most one


def loading(where: Path | str, checkpoint: str = "", *, pictures: bool = True) -> Loading:
    """Return the loading of a bundle: started by the first call, and again if the bundle was
    rebuilt, or if loading failed more than RETRY_AFTER_S ago.

    While a rebuilt bundle is loaded, the searcher of the one before answers, from memory. A bundle
    on the Hub stays at the commit that it was loaded at. `pictures`: the image tower is loaded as
    well, before the first visitor sends a picture.
    """
    version = None if is_address(where) else version_of(Path(where))
    key = (str(where), version, checkpoint)
    with _lock:
        known = _latest.get(key)
        if known is None or known.failed_s > RETRY_AFTER_S:
            same = [load for (place, _, of), load in _latest.items()
                    if (place, of) == (str(where), checkpoint)]  # fmt: skip
            before = same[0].searcher if same else None
            _latest.clear()
            known = _latest[key] = Loading(where, checkpoint, pictures=pictures, before=before)
        return known


def _encoder_of(before: Searcher | None, bundle: Bundle) -> Encoder | None:
    """The encoder of the searcher before, if a rebuilt bundle is of the same checkpoint."""
    if before is None or not isinstance(before.collection, Bundle):
        return None
    then, now = before.collection.manifest, bundle.manifest
    is_same = then.encoder_checkpoint == now.encoder_checkpoint
    is_same = is_same and then.fingerprint == now.fingerprint
    return before.encoder if is_same else None


class Loading:
    """A searcher that is being loaded: the current step, finally the searcher or the error."""

    def __init__(
        self,
        path: Path | str,
        checkpoint: str = "",
        *,
        pictures: bool = True,
        before: Searcher | None = None,
    ):
        """`before` is the searcher of the bundle that was at this path until now."""
        self.path = path  # or an address on the Hub
        self._pictures = pictures
        self.checkpoint = checkpoint
        self.step = "loading_index"  # one of STEPS, a key of retrieval.web.translations
        self.searcher = before
        self._version = None if is_address(path) else version_of(Path(path))
        self.error: RetrievalError | None = None
        self._failed_at_s = 0.0
        self._ended = threading.Event()
        threading.Thread(target=self._load, daemon=True).start()

    @property
    def fraction(self) -> float:
        """Progress from 0 to 1."""
        return STEPS[self.step]

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    @property
    def failed_s(self) -> float:
        """Seconds since loading failed; 0 if it did not."""
        return time.monotonic() - self._failed_at_s if self.error else 0.0

    def wait(self, timeout_s: float) -> bool:
        """Wait at most that long for the searcher or the error; returns whether it has come."""
        return self._ended.wait(timeout_s)

    def _load(self) -> None:
        try:
            bundle = Bundle.open(self.path)
            self.step = "loading_checkpoint"
            encoder = _encoder_of(self.searcher, bundle)
            is_new = encoder is None
            if encoder is None:
                checkpoint = encoder_of(bundle, self.checkpoint)
                encoder = OneThreadEncoder(checkpoint)
            searcher = Searcher(bundle, encoder)
            # The first search loads the reaction model and takes ten times as long as the
            # second; no visitor should wait for it.
            searcher.search(searcher.understand([Term("I got the job!")]), 1)
            self.searcher = searcher
            self._ended.set()
            if not is_new:
                return
            # Messages can be searched for meanwhile: a ViT-B-32's image tower loads in a second.
            if self._pictures:
                checkpoint.encode_images([Image.new("RGB", (64, 64), "white")])
            languages_of(checkpoint.checkpoint)  # may ask the Hub for its card: not at a message
            # A full garbage collection walks the objects of torch and transformers, which
            # takes 300 ms and blocks every page: exclude them, they stay until the process ends.
            gc.collect()
            gc.freeze()
        except Exception as error:  # nobody would see the traceback of a thread
            if not isinstance(error, RetrievalError):
                error = RetrievalError(f"{self.path} could not be loaded: {error!r}")
            _log.error("%s", error)  # the page shows it without paths
            self._failed_at_s = time.monotonic()
            self.error = error
            # Replaced meanwhile: the next call of `loading` loads what is there now.
            if is_address(self.path) or version_of(Path(self.path)) == self._version:
                self.searcher = None
            self._ended.set()

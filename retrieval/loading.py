"""Load a searcher beside the page, so that the page can be used meanwhile."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from retrieval.bundle import Bundle
from retrieval.encoder import Encoder, Pixels
from retrieval.errors import RetrievalError
from retrieval.search import Searcher, encoder_of

# Shares of the wait, as the bar shows it: the checkpoint is most of it.
STEPS = {"loading_index": 0.1, "loading_checkpoint": 0.3}


class OneThreadEncoder:
    """An encoder that works in one thread of its own, whoever calls.

    A page runs in a new thread each time, and torch sets up its own threads anew for
    each: with a checkpoint in torch a warm message took 100 ms and more that way, and takes
    7 ms this way. It also keeps twenty people's queries from fighting over two cores.
    """

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self.name, self.pretrained, self.label = encoder.name, encoder.pretrained, encoder.label
        self.dim, self.fingerprint = encoder.dim, encoder.fingerprint
        self.precision, self.prepare = encoder.precision, encoder.prepare

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self._worker.submit(self._encoder.encode_images, images).result()

    def encode_pixels(self, pixels: Pixels) -> np.ndarray:
        return self._worker.submit(self._encoder.encode_pixels, pixels).result()

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        return self._worker.submit(self._encoder.encode_text, texts).result()


class Loading:
    """A searcher on its way: the step it is at, and in the end the searcher or the error."""

    def __init__(self, path: Path | str, checkpoint: str = ""):
        self.path = path  # or an address on the Hub
        self._checkpoint = checkpoint
        self.step = "loading_index"  # one of STEPS, a key of retrieval.words
        self.searcher: Searcher | None = None
        self.error: RetrievalError | None = None
        self._thread = threading.Thread(target=self._load, daemon=True)
        self._thread.start()

    @property
    def fraction(self) -> float:
        """How far the step is along, from 0 to 1, for a progress bar."""
        return STEPS[self.step]

    @property
    def done(self) -> bool:
        return self.searcher is not None or self.error is not None

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end, at most that long; whether it has come."""
        self._thread.join(timeout_s)
        return self.done

    def _load(self) -> None:
        try:
            bundle = Bundle.open(self.path)
            self.step = "loading_checkpoint"
            encoder = OneThreadEncoder(encoder_of(bundle, self._checkpoint))
            # The first of each costs ten times the second; nobody should wait for it.
            encoder.encode_text(["I got the job!"])
            encoder.encode_images([Image.new("RGB", (64, 64), "white")])
            self.searcher = Searcher(bundle, encoder)
            # A full garbage collection walks the objects of torch and transformers, which
            # takes 300 ms and holds up every page: they are here to stay.
            gc.collect()
            gc.freeze()
        except RetrievalError as error:
            self.error = error
        except Exception as error:  # a thread's traceback would reach no one
            self.error = RetrievalError(f"{self.path} could not be loaded: {error!r}")

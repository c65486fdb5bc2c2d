"""Load a searcher beside the page, so that the page can be used meanwhile."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from retrieval.bundle import Bundle
from retrieval.encoder import OpenClipEncoder
from retrieval.errors import RetrievalError
from retrieval.search import Searcher

# Shares of the wait, measured with `mini`: importing torch and open_clip is most of it.
STEPS = {"loading_index": 0.1, "loading_checkpoint": 0.3}


class Loading:
    """A searcher on its way: the step it is at, and in the end the searcher or the error."""

    def __init__(self, path: Path):
        self.path = path
        self.step = "loading_index"  # one of STEPS, a key of retrieval.words
        self.searcher: Searcher | None = None
        self.error: RetrievalError | None = None
        self.started = time.monotonic()
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
            manifest = bundle.manifest
            encoder = OpenClipEncoder(manifest.checkpoint, manifest.pretrained)
            self.searcher = Searcher(bundle, encoder)
        except RetrievalError as error:
            self.error = error
        except Exception as error:  # a thread's traceback would reach no one
            self.error = RetrievalError(f"{self.path} could not be loaded: {error!r}")

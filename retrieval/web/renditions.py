"""Renditions for visitors: few are made at a time, each once for all who wait for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from retrieval.media import Stop
from retrieval.renditions import RenditionStore
from retrieval.web.routes import LIMITS, read_checked
from retrieval.web.turns import Job, SharedJobs, Turns

AT_ONCE = max(1, (os.cpu_count() or 1) - 1)  # one core stays free for searches
WAITING = 128  # the GIFs of a few pages of results


class Renditions:
    """The renditions of a store, made as they are asked for.

    Long work passes its turn on, so one slow GIF does not hold up the others.
    """

    def __init__(self, store: RenditionStore, at_once: int = AT_ONCE, waiting: int = WAITING):
        self.store = store
        self._turns = Turns(at_once, waiting)
        self._jobs: SharedJobs[bytes] = SharedJobs()
        self.n_made = 0  # renditions and stills, for the server's metrics

    def animation(
        self, gif_id: str, path: Path, width: int, format: str = "webp", *, sha256: str = ""
    ) -> AbstractContextManager[Job[bytes]]:
        """The job that renders the animation, shared by concurrent requests.

        It fails with BusyError if too many jobs wait, MediaError if it cannot be decoded, or does
        not have the hash (if one is given).
        """

        def render(stop: Stop) -> bytes:
            source = read_checked(path, sha256) if sha256 else path
            return self.store.animation(gif_id, source, width, LIMITS, stop, format)

        return self._job((gif_id, path, sha256, width, format), render)

    def still(
        self, gif_id: str, path: Path, frame: int, width: int, *, sha256: str = ""
    ) -> AbstractContextManager[Job[bytes]]:
        """The same for one frame."""

        def render(stop: Stop) -> bytes:
            source = read_checked(path, sha256) if sha256 else path
            return self.store.still(gif_id, source, frame, width, LIMITS, stop)

        return self._job((gif_id, path, sha256, width, frame), render)

    def _job(
        self, key: tuple[object, ...], render: Callable[[Stop], bytes]
    ) -> AbstractContextManager[Job[bytes]]:
        def work(stop: Stop) -> bytes:
            with self._turns.turn(stop) as turn:
                made = render(turn.stop)
            self.n_made += 1
            return made

        return self._jobs.job(key, work)

"""What search returns: ranked GIFs with the scores of their frames."""

from __future__ import annotations

from dataclasses import dataclass

from retrieval.library import Record


@dataclass(frozen=True)
class FrameScore:
    """One embedded frame of a GIF and its cosine to the query."""

    index: int
    time_ms: int
    score: float


@dataclass(frozen=True)
class Result:
    """One ranked GIF, with the scores of its frames."""

    rank: int  # from 1
    score: float  # cosine, higher is better
    record: Record
    uri: str  # a path that can be opened, or a URL
    frames: tuple[FrameScore, ...]  # in order of time
    folded: tuple[Record, ...] = ()  # near-duplicates that it stands for, best first

    @property
    def _best(self) -> FrameScore:
        return max(self.frames, key=lambda frame: frame.score)

    @property
    def best_frame(self) -> int:
        """The best frame's index in the animation."""
        return self._best.index

    @property
    def best_frame_ms(self) -> int:
        return self._best.time_ms

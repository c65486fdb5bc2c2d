"""What search returns: ranked GIFs with the scores of their frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from retrieval.library import Record
from retrieval.media import PictureText


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
    # The cosine, if GIFs were ranked by frames alone; else a probability of fitting.
    score: float
    record: Record
    uri: str  # a path that can be opened, or a URL
    frames: tuple[FrameScore, ...]  # in order of time
    folded: tuple[Record, ...] = ()  # near-duplicates that it stands for, best first
    # What each signal contributed to the ranking, in standard deviations; {} for frames alone.
    signals: Mapping[str, float] = field(default_factory=dict)
    words: PictureText | None = None  # the words in the picture that answer the message best
    reactions: Mapping[str, float] = field(default_factory=dict)  # that it shares with the message

    @property
    def shares(self) -> dict[str, float]:
        """Each signal's share in what speaks for the GIF, 0 to 1, the largest first.

        Signals that speak against it have 0.
        """
        positive = {name: max(0.0, part) for name, part in self.signals.items()}
        total = sum(positive.values()) or 1.0
        return {
            name: positive[name] / total
            for name in sorted(positive, key=positive.__getitem__, reverse=True)
        }

    @cached_property
    def _best(self) -> FrameScore:
        return max(self.frames, key=lambda frame: frame.score)

    @property
    def best_frame(self) -> int:
        """The best frame's index in the animation."""
        return self._best.index

    @property
    def best_frame_ms(self) -> int:
        return self._best.time_ms

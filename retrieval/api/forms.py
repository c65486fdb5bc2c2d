"""The forms in which a compatible service offers a GIF: address, pixels and bytes of each."""

from __future__ import annotations

from dataclasses import dataclass

from retrieval.api.gifs import media_of
from retrieval.renditions import (
    MAX_DURATION_MS,
    WIDTHS,
    RenditionFacts,
    animation_facts,
    fitted,
    still_facts,
)
from retrieval.search import Result, Searcher
from retrieval.web import rendition_url, still_url
from retrieval.web.media_routes import current_renditions

TILE, LARGEST = WIDTHS[1:]


@dataclass(frozen=True)
class Form:
    """One file: `size_bytes` is 0 until it is known, `duration_ms` 0 for a still picture."""

    url: str
    width: int
    height: int
    size_bytes: int
    duration_ms: int = 0


class Forms:
    """All forms of one GIF.

    A GIF on another site has its own address in every form: nothing of it is here. `root` is the
    address of this server.
    """

    def __init__(self, root: str, result: Result, searcher: Searcher):
        self.record = record = result.record
        self._root, self._frame = root, result.best_frame
        self._media = media_of(record, searcher)
        size_bytes = self._media.size_bytes or 0
        self._facts = RenditionFacts(record.width, record.height, size_bytes)
        self.duration_ms = record.duration_ms if record.n_frames > 1 else 0
        self._known = dict[tuple[int, str], Form]()  # an answer names most of them several times

    @property
    def suffix(self) -> str:
        """Of the file itself: ".gif", ".webp", …"""
        return self._media.suffix

    @property
    def itself(self) -> Form:
        """The file as it came."""
        address = self._media.file or ""
        url = address if self._media.is_web else f"{self._root}/{address}"
        return self._form(url, self._facts, self.duration_ms)

    @property
    def gif(self) -> Form:
        """The largest GIF: the file itself if it is one."""
        if self.suffix == ".gif" or self._media.is_web:
            return self.itself
        return self.moving(LARGEST, "gif")

    def moving(self, width: int, format: str) -> Form:
        """The animation at most `width` pixels wide, as "gif", "webp" or "mp4"."""
        if self._media.is_web:
            return self.itself
        form = self._known.get((width, format))
        if form is None:
            form = self._known[width, format] = self._animation(width, format)
        return form

    @property
    def category_image(self) -> Form:
        """A picture for a tile: a small GIF."""
        return self.moving(TILE, "gif")

    def has(self, format: str) -> bool:
        """Whether there is a "gif", "webp" or "mp4" of it: of one elsewhere, only what it is."""
        return not self._media.is_web or self.suffix == f".{format}"

    def still(self, width: int) -> Form:
        """The frame that answers best, at most `width` pixels wide."""
        if self._media.is_web:
            return self.itself
        form = self._known.get((width, "still"))
        if form is None:
            form = self._known[width, "still"] = self._still(width)
        return form

    def width_for(self, height: int) -> int:
        """Which of the widths of renditions comes out nearest to a height, in pixels."""

        def distance(width: int) -> float:
            there = fitted(width, self._facts).height
            return max(there / height, height / there)

        return min(WIDTHS, key=distance)

    def _animation(self, width: int, format: str) -> Form:
        store, gif_id = current_renditions().store, self.record.id
        suffix = self._media.suffix
        facts = animation_facts(store, gif_id, width, self._facts, suffix, format)
        url = self._root + rendition_url(gif_id, width, format)
        return self._form(url, facts, min(self.duration_ms, MAX_DURATION_MS))

    def _still(self, width: int) -> Form:
        store, gif_id = current_renditions().store, self.record.id
        facts = still_facts(store, gif_id, self._frame, width, self._facts)
        return self._form(self._root + still_url(gif_id, self._frame, width), facts, 0)

    def _form(self, url: str, facts: RenditionFacts, duration_ms: int) -> Form:
        return Form(url, facts.width, facts.height, facts.size_bytes, duration_ms)

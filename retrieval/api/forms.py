"""The forms in which a compatible service offers a GIF: address, pixels and bytes of each."""

from __future__ import annotations

from dataclasses import dataclass

from retrieval.api.gifs import FILMS, media_of
from retrieval.renditions import WIDTHS, RenditionFacts, animation_facts, fitted, still_facts
from retrieval.search import Result, Searcher
from retrieval.web import rendition_url, still_url
from retrieval.web.media_routes import current_renditions

TILE, LARGEST = WIDTHS[1:]
MAX_RENDITION_MS = 20_000


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
        self._is_film = self._media.suffix in FILMS
        size_bytes = self._media.size_bytes or 0
        self._facts = RenditionFacts(record.width, record.height, size_bytes)
        self.duration_ms = record.duration_ms if record.n_frames > 1 else 0

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

    def moving(self, width: int, form: str) -> Form:
        """The animation at most `width` pixels wide, as "gif", "webp" or "mp4"."""
        if self._media.is_web:
            return self.itself
        url = self._root + rendition_url(self.record.id, width, form)
        return self._form(url, self._size(width, form), min(self.duration_ms, MAX_RENDITION_MS))

    @property
    def category_image(self) -> Form:
        """A picture for a tile: a small GIF."""
        return self.moving(TILE, "gif")

    def has(self, form: str) -> bool:
        """Whether there is a "gif", "webp" or "mp4" of it: of one elsewhere, only what it is."""
        return not self._media.is_web or self.suffix == f".{form}"

    def still(self, width: int) -> Form:
        """The frame that answers best, at most `width` pixels wide."""
        if self._media.is_web:
            return self.itself
        url = self._root + still_url(self.record.id, self._frame, width)
        store = current_renditions().store
        facts = still_facts(store, self.record.id, self._frame, width, self._facts)
        return self._form(url, facts, 0)

    def width_for(self, height: int) -> int:
        """Which of the widths of renditions comes out nearest to a height, in pixels."""

        def distance(width: int) -> float:
            there = fitted(width, self._facts).height
            return max(there / height, height / there)

        return min(WIDTHS, key=distance)

    def _size(self, width: int, form: str) -> RenditionFacts:
        if form == "mp4":
            return fitted(width, self._facts)
        store = current_renditions().store
        facts = animation_facts(store, self.record.id, width, self._facts, is_film=self._is_film)
        return facts if form == "webp" else RenditionFacts(facts.width, facts.height)

    def _form(self, url: str, facts: RenditionFacts, duration_ms: int) -> Form:
        return Form(url, facts.width, facts.height, facts.size_bytes, duration_ms)

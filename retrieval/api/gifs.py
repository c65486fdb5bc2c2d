"""A GIF as JSON: what a browser needs to show it, and why it was found.

Addresses are relative to the page's root, or https:// addresses of GIFs on the web.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from retrieval.errors import MediaError
from retrieval.library import Bundle, Record, is_web_address
from retrieval.media import PictureText
from retrieval.search import RECOGNISED, Result, Searcher
from retrieval.web import GIF_ROUTE, media_file, rendition_url, still_url

TITLE_CHARS = 1_000
CARD_WIDTH, THUMB_WIDTH = 200, 100  # pixels
FILMS = (".mp4", ".webm")
# A GIF's id is the hash of its bytes: what its file is stays true. Whether it is still there
# is looked at again after a while.
FOUND_S, MISSING_S, MAX_KNOWN = 300.0, 5.0, 50_000


def rendition_address(gif_id: str, width: int) -> str:
    """Where a rendition is, relative to the page's root."""
    return rendition_url(gif_id, width)[1:]


def still_address(gif_id: str, frame: int, width: int) -> str:
    """Where an embedded frame is, relative to the page's root."""
    return still_url(gif_id, frame, width)[1:]


@dataclass(frozen=True)
class Media:
    """Where a browser gets a GIF; all None if it cannot be shown."""

    file: str | None = None
    suffix: str = ""
    size_bytes: int | None = None
    is_web: bool = False


class _Known:
    """What is known of the files of GIFs, for a while: looking takes 0.1 ms each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._media: OrderedDict[tuple[Path, str], tuple[float, Media]] = OrderedDict()

    def media_of(self, bundle: Bundle, record: Record) -> Media:
        key, now = (bundle.path, record.id), time.monotonic()
        with self._lock:
            until, media = self._media.get(key, (0.0, Media()))
        if now < until:
            return media
        media = _look(bundle, record)
        with self._lock:
            self._media[key] = (now + (FOUND_S if media.file else MISSING_S), media)
            self._media.move_to_end(key)
            while len(self._media) > MAX_KNOWN:
                self._media.popitem(last=False)
        return media


_known = _Known()


def _look(bundle: Bundle, record: Record) -> Media:
    try:
        found = media_file(bundle.path, record, pulled=bundle.origin is not None)
    except (MediaError, OSError):
        return Media()
    address = f"{GIF_ROUTE[1:]}/{record.id}{found.suffix}"
    return Media(address, found.suffix, found.size_bytes)


def media_of(record: Record, searcher: Searcher) -> Media:
    """Where a browser gets the GIF; the visitor's own pictures it has already."""
    if not isinstance(searcher.collection, Bundle):
        return Media(suffix=PurePosixPath(record.uri).suffix.lower())
    if is_web_address(record.uri):
        suffix = PurePosixPath(urlsplit(record.uri).path).suffix.lower()
        return Media(record.uri, suffix, None, True)
    return _known.media_of(searcher.collection, record)


def gif_json(
    result: Result, searcher: Searcher, *, is_ranked: bool = True, has_score: bool = True
) -> dict[str, Any]:
    """A result as JSON; one that was not asked for has no rank, and without a score no frames."""
    record = result.record
    media = media_of(record, searcher)
    is_local = media.file is not None and not media.is_web
    still = preview = thumb = media.file
    if is_local:
        preview, thumb = (
            rendition_url(record.id, width)[1:] for width in (CARD_WIDTH, THUMB_WIDTH)
        )
        still = still_address(record.id, result.best_frame, CARD_WIDTH)
    recognised = {name: p for name, p in result.reactions.items() if p >= RECOGNISED}
    return {
        "id": record.id,
        "title": record.title[:TITLE_CHARS],
        "emoji": record.emoji,
        "width": record.width,
        "height": record.height,
        "animated": record.n_frames > 1,
        "film": media.suffix in FILMS,
        "duration_ms": record.duration_ms,
        "rank": result.rank if is_ranked else None,
        "score": round(result.score, 6) if has_score else None,
        "file": media.file,
        "file_name": file_name(record.uri),
        "bytes": media.size_bytes,
        "is_web": media.is_web,
        "preview": preview,
        "thumb": thumb,
        "still": still,
        "frames": _frames(result, is_local) if has_score else [],
        "best_frame": result.best_frame if has_score else None,
        "best_frame_ms": result.best_frame_ms if has_score else None,
        "shares": {name: round(share, 4) for name, share in result.shares.items()},
        "words": _words(record, result.words, is_local),
        "reactions": {name: round(p, 4) for name, p in recognised.items()},
        "expresses": result.signals.get("reaction", 0) > 0 if recognised else None,
        "tags": list(record.tags),
        "license": record.license,
        "attribution": record.attribution,
        "source": record.source,
        "source_is_web": is_web_address(record.source),
        "alike": _alike(result.folded),
    }


def file_name(uri: str) -> str:
    """The name of a file, without its folders.

    >>> file_name("https://a.b/c/dance%20now.gif?x=1"), file_name("media/d.gif")
    ('dance now.gif', 'd.gif')
    """
    path = unquote(urlsplit(uri).path) if is_web_address(uri) else uri
    return path.replace("\\", "/").rpartition("/")[2]


def _frames(result: Result, is_local: bool) -> list[Mapping[str, Any]]:
    gif_id = result.record.id
    return [
        {
            "index": frame.index,
            "time_ms": frame.time_ms,
            "score": round(frame.score, 4),
            "still": still_address(gif_id, frame.index, THUMB_WIDTH) if is_local else None,
        }
        for frame in result.frames
    ]


def _words(record: Record, words: PictureText | None, is_local: bool) -> Mapping[str, Any] | None:
    if words is None:
        return None
    return {
        "text": words.text[:TITLE_CHARS],
        "frame": words.frame,
        "time_ms": words.time_ms,
        "confidence": words.confidence,
        "box": [min(max(edge, 0.0), 1.0) for edge in words.box],
        "still": still_address(record.id, words.frame, CARD_WIDTH) if is_local else None,
    }


def _alike(records: Sequence[Record]) -> list[Mapping[str, str]]:
    return [{"id": record.id, "title": record.title[:TITLE_CHARS]} for record in records]

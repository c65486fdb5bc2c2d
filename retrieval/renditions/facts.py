"""How large a rendition is: of one in the store, as it is; of one not made yet, as it will be."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from retrieval.media import Look
from retrieval.renditions.frames import MAX_ASPECT
from retrieval.renditions.render import (
    MAX_BYTES,
    NEAR_WIDTH,
    SERVED_AS_IT_IS,
    TARGET_BYTES,
    check_format,
    check_width,
)
from retrieval.renditions.store import RenditionStore

# A page of answers names hundreds of renditions, and each missing one is a failing read. Those that
# this process makes are seen at once, those of others after a while.
_LOOK_AGAIN_S = 10


@dataclass(frozen=True)
class RenditionFacts:
    """Size in pixels and bytes; 0 bytes: known only when it has been made."""

    width: int
    height: int
    size_bytes: int = 0


@lru_cache(maxsize=10_000)
def fitted(width: int, original: RenditionFacts) -> RenditionFacts:
    """What a picture becomes that is made at most `width` pixels wide.

    >>> fitted(200, RenditionFacts(480, 270, 90_000))
    RenditionFacts(width=200, height=112, size_bytes=0)
    """
    look = Look(max_size=(width, MAX_ASPECT * width))
    size = look.size(max(1, original.width), max(1, original.height))
    return RenditionFacts(*size)


def animation_facts(
    store: RenditionStore,
    gif_id: str,
    width: int,
    original: RenditionFacts,
    suffix: str,
    format: str = "webp",
) -> RenditionFacts:
    """Of the rendition that is served for a width: the stored one, or the one to be made.

    `suffix` is of the original's file. One exception cannot be known before it is made: an easy
    original that no rendition is smaller than is served in its own size.
    """
    check_width(width)
    check_format(format)
    stored = _stored(store, gif_id, width, format, frame=None)
    if format == "mp4":  # one more pixel or fewer is not worth reading the film
        even = _even(fitted(width, original))
        return RenditionFacts(even.width, even.height, stored.size_bytes if stored else 0)
    if stored:
        return stored
    is_small = 0 < original.size_bytes <= min(TARGET_BYTES[format][width], MAX_BYTES[format][width])
    if is_small and suffix in SERVED_AS_IT_IS[format] and original.width <= NEAR_WIDTH * width:
        return original
    return fitted(width, original)


def still_facts(
    store: RenditionStore, gif_id: str, frame: int, width: int, original: RenditionFacts
) -> RenditionFacts:
    """The same for a still of a frame."""
    check_width(width)
    return _stored(store, gif_id, width, "webp", frame) or fitted(width, original)


def _even(facts: RenditionFacts) -> RenditionFacts:
    """Without an odd row or column, as a film."""
    return RenditionFacts(max(2, facts.width // 2 * 2), max(2, facts.height // 2 * 2))


def _stored(
    store: RenditionStore, gif_id: str, width: int, format: str, frame: int | None
) -> RenditionFacts | None:
    moment = (store.n_stored, int(time.monotonic() / _LOOK_AGAIN_S))
    return _looked_for(store, gif_id, width, format, frame, moment)


@lru_cache(maxsize=50_000)
def _looked_for(
    store: RenditionStore,
    gif_id: str,
    width: int,
    format: str,
    frame: int | None,
    moment: tuple[int, int],
) -> RenditionFacts | None:
    try:
        return _read(store, gif_id, width, format, frame)
    except LookupError:
        return None


@lru_cache(maxsize=50_000)  # what is stored does not change; what is missing raises, so is not kept
def _read(
    store: RenditionStore, gif_id: str, width: int, format: str, frame: int | None
) -> RenditionFacts:
    if frame is None:
        data = store.cached_animation(gif_id, width, format)
    else:
        data = store.cached_still(gif_id, frame, width)
    if data is None:
        raise LookupError(gif_id)
    if format == "mp4":
        return RenditionFacts(0, 0, len(data))
    with Image.open(io.BytesIO(data)) as image:
        width_made, height_made = image.size
    return RenditionFacts(width_made, height_made, len(data))

"""How large a rendition is: of one in the store, as it is; of one not made yet, as it will be."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from retrieval.media import Look
from retrieval.renditions.render import MAX_ASPECT, MAX_BYTES, NEAR_WIDTH, TARGET_BYTES, check_width
from retrieval.renditions.store import RenditionStore


@dataclass(frozen=True)
class RenditionFacts:
    """Size in pixels and bytes; 0 bytes: known only when it has been made."""

    width: int
    height: int
    size_bytes: int = 0


def fitted(width: int, original: RenditionFacts) -> RenditionFacts:
    """What a picture becomes that is made at most `width` pixels wide.

    >>> fitted(200, RenditionFacts(480, 270, 90_000))
    RenditionFacts(width=200, height=112, size_bytes=0)
    """
    look = Look(max_size=(width, MAX_ASPECT * width))
    size = look.size(max(1, original.width), max(1, original.height))
    return RenditionFacts(*size)


def animation_facts(
    store: RenditionStore, gif_id: str, width: int, original: RenditionFacts, *, is_film: bool
) -> RenditionFacts:
    """Of the rendition that is served for a width: the stored one, or the one to be made.

    One exception cannot be known before it is made: an easy original that no rendition is
    smaller than is served in its own size.
    """
    check_width(width)
    try:
        return _stored(store, gif_id, width, None)
    except LookupError:
        pass
    is_small = 0 < original.size_bytes <= min(TARGET_BYTES[width], MAX_BYTES[width])
    if is_small and not is_film and original.width <= NEAR_WIDTH * width:
        return original
    return fitted(width, original)


def still_facts(
    store: RenditionStore, gif_id: str, frame: int, width: int, original: RenditionFacts
) -> RenditionFacts:
    """The same for a still of a frame."""
    check_width(width)
    try:
        return _stored(store, gif_id, width, frame)
    except LookupError:
        return fitted(width, original)


@lru_cache(maxsize=50_000)  # what is stored does not change; what is missing raises, so is not kept
def _stored(store: RenditionStore, gif_id: str, width: int, frame: int | None) -> RenditionFacts:
    if frame is None:
        data = store.cached_animation(gif_id, width)
    else:
        data = store.cached_still(gif_id, frame, width)
    if data is None:
        raise LookupError(gif_id)
    with Image.open(io.BytesIO(data)) as image:
        width_made, height_made = image.size
    return RenditionFacts(width_made, height_made, len(data))

"""The numbers that shape an answer, by name, for the engine of a static site (retrieval.site)."""

from __future__ import annotations

from collections.abc import Mapping

from retrieval.api.answers import KEPT_QUERIES, MAX_CHIPS, PHRASE_CHARS
from retrieval.api.gifs import CARD_WIDTH, FILMS, THUMB_WIDTH, TITLE_CHARS
from retrieval.api.questions import DEFAULT_LIMIT, MAX_LIMIT
from retrieval.api.visitors import NAME_CHARS, PICTURE_BYTES
from retrieval.media import DEFAULT_FRAMES
from retrieval.web import UPLOAD_LIMITS, Settings


def answer_constants() -> Mapping[str, object]:
    """Return what the operations of the API are bounded by."""
    return {
        "max_limit": MAX_LIMIT,
        "default_limit": DEFAULT_LIMIT,
        "max_chips": MAX_CHIPS,
        "phrase_chars": PHRASE_CHARS,
        "kept_queries": KEPT_QUERIES,
        "title_chars": TITLE_CHARS,
        "card_width": CARD_WIDTH,
        "thumb_width": THUMB_WIDTH,
        "films": FILMS,
        "name_chars": NAME_CHARS,
        "picture_bytes": PICTURE_BYTES,
        "upload_bytes": UPLOAD_LIMITS.max_bytes,
        "frames_per_picture": DEFAULT_FRAMES,
        "max_files": Settings.max_files,
        "max_total_mb": Settings.max_total_mb,
    }

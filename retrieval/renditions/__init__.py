"""Small renditions of GIFs and films, and their store on disk."""

from retrieval.renditions.facts import RenditionFacts, animation_facts, fitted, still_facts
from retrieval.renditions.frames import MAX_DURATION_MS
from retrieval.renditions.prepare import Prepared, prepare_renditions
from retrieval.renditions.render import (
    FORMATS,
    VERSION,
    WIDTHS,
    check_format,
    check_width,
    render_animation,
    render_still,
)
from retrieval.renditions.sandboxed import sandboxed_animation, sandboxed_still
from retrieval.renditions.store import RenditionStore

__all__ = [
    "FORMATS",
    "MAX_DURATION_MS",
    "VERSION",
    "WIDTHS",
    "Prepared",
    "RenditionFacts",
    "RenditionStore",
    "animation_facts",
    "check_format",
    "check_width",
    "fitted",
    "prepare_renditions",
    "render_animation",
    "render_still",
    "sandboxed_animation",
    "sandboxed_still",
    "still_facts",
]

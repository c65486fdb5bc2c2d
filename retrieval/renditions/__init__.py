"""Small renditions of GIFs and films, and their store on disk."""

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
from retrieval.renditions.store import RenditionStore

__all__ = [
    "FORMATS",
    "VERSION",
    "WIDTHS",
    "Prepared",
    "RenditionStore",
    "check_format",
    "check_width",
    "prepare_renditions",
    "render_animation",
    "render_still",
]

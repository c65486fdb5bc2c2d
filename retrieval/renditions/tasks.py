"""What a worker does: a file's bytes to a rendition or a still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retrieval.media import Limits, Stop
from retrieval.renditions.render import render_animation, render_still

Parts = Iterator[tuple[dict[str, Any], list[bytes]]]


def animation(fields: dict[str, Any], blocks: list[bytes], stop: Stop) -> Parts:
    """Yield a rendition of `width` and `format` within `limits`."""
    limits = Limits(**fields["limits"])
    yield {}, [render_animation(blocks.pop(), fields["width"], limits, stop, fields["format"])]


def still(fields: dict[str, Any], blocks: list[bytes], stop: Stop) -> Parts:
    """Yield the still of a `frame`, of `width`, within `limits`."""
    limits = Limits(**fields["limits"])
    yield {}, [render_still(blocks.pop(), fields["frame"], fields["width"], limits, stop)]

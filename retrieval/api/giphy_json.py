"""A GIF in GIPHY's words.

Fields after the documentation (https://developers.giphy.com/docs/api/schema/) and the types of
GIPHY's own client (@giphy/js-types). Numbers of pixels and bytes are strings, as GIPHY sends them;
"0" bytes are of a rendition that has not been made yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from retrieval.api.forms import LARGEST, Form, Forms
from retrieval.api.gifs import TITLE_CHARS
from retrieval.library import is_web_address
from retrieval.renditions import WIDTHS
from retrieval.search import Result, Searcher

NEVER = "0000-00-00 00:00:00"  # GIPHY's own word for a date that there is not
RATING = "g"
SLUG_WORDS = 8
SMALL, MEDIUM, _ = WIDTHS
HIGH, LOW = 200, 100  # pixels, of fixed_height and fixed_height_small
# The most bytes of GIPHY's "downsized" renditions.
DOWNSIZED = {"downsized": 2_000_000, "downsized_medium": 5_000_000, "downsized_large": 8_000_000}


def gif_json(
    root: str, result: Result, searcher: Searcher, kind: str, imported: float
) -> dict[str, Any]:
    """A result as a GIF object; `kind` is "gifs" or "stickers", `imported` a Unix time or 0."""
    record, forms = result.record, Forms(root, result, searcher)
    address = f"{root}/v1/embed/{record.id}"
    source = record.source if is_web_address(record.source) else ""
    return {
        "type": "sticker" if kind == "stickers" else "gif",
        "id": record.id,
        "slug": slug_of(record.title, record.id),
        "url": address,
        "bitly_url": address,
        "bitly_gif_url": address,
        "embed_url": address,
        "username": "",
        "source": source,
        "title": record.title[:TITLE_CHARS],
        "alt_text": record.title[:TITLE_CHARS],
        "rating": RATING,
        "content_url": "",
        "source_tld": urlsplit(source).hostname or "",
        "source_post_url": source,
        "is_sticker": int(kind == "stickers"),
        "import_datetime": _date(imported),
        "trending_datetime": NEVER,
        "tags": list(record.tags),
        "images": images_json(forms),
        "analytics_response_payload": "",
        # Not GIPHY's: what a library is shown under.
        "license": record.license,
        "attribution": record.attribution,
    }


def slug_of(title: str, gif_id: str) -> str:
    """
    >>> slug_of("I got the job! 🎉", "6918"), slug_of("🎉", "6918")
    ('i-got-the-job-6918', '6918')
    """
    words = re.findall(r"[a-z0-9]+", title.lower())[:SLUG_WORDS]
    return "-".join([*words, gif_id])


def images_json(forms: Forms) -> Mapping[str, Mapping[str, str]]:
    """All renditions by GIPHY's names, each of those there are that is nearest to it."""
    high, low = forms.width_for(HIGH), forms.width_for(LOW)
    images = {
        "original": _original(forms),
        "original_still": _still(forms, LARGEST),
        "original_mp4": _film(forms, LARGEST),
        "looping": _film(forms, LARGEST),
        "fixed_width": _moving(forms, MEDIUM),
        "fixed_width_still": _still(forms, MEDIUM),
        "fixed_width_downsampled": _moving(forms, MEDIUM, with_film=False),
        "fixed_width_small": _moving(forms, SMALL),
        "fixed_width_small_still": _still(forms, SMALL),
        "fixed_height": _moving(forms, high),
        "fixed_height_still": _still(forms, high),
        "fixed_height_downsampled": _moving(forms, high, with_film=False),
        "fixed_height_small": _moving(forms, low),
        "fixed_height_small_still": _still(forms, low),
        **{name: _downsized(forms, most) for name, most in DOWNSIZED.items()},
        "downsized_small": _film(forms, MEDIUM),
        "downsized_still": _still(forms, LARGEST),
        "preview": _film(forms, SMALL),
        "preview_gif": _image(forms.moving(SMALL, "gif")),
        "preview_webp": _image(forms.moving(SMALL, "webp")) if forms.has("webp") else {},
        "480w_still": _still(forms, LARGEST),
    }
    return {name: image for name, image in images.items() if image}


def _original(forms: Forms) -> dict[str, str]:
    image = _image(forms.gif) | _alternatives(forms, LARGEST)
    return image | {"frames": str(forms.record.n_frames), "hash": forms.record.id}


def _moving(forms: Forms, width: int, *, with_film: bool = True) -> dict[str, str]:
    image = _image(forms.moving(width, "gif"))
    return image | _alternatives(forms, width, with_film=with_film)


def _alternatives(forms: Forms, width: int, *, with_film: bool = True) -> dict[str, str]:
    found = dict[str, str]()
    for name in ("mp4", "webp") if with_film else ("webp",):
        if forms.has(name):
            form = forms.moving(width, name)
            found |= {name: form.url, f"{name}_size": str(form.size_bytes)}
    return found


def _downsized(forms: Forms, most: int) -> dict[str, str]:
    form = forms.gif
    return _image(form if form.size_bytes <= most else forms.moving(LARGEST, "gif"))


def _still(forms: Forms, width: int) -> dict[str, str]:
    return _image(forms.still(width))


def _film(forms: Forms, width: int) -> dict[str, str]:
    """A rendition that is a film only; {} if there is none."""
    if not forms.has("mp4"):
        return {}
    form = forms.moving(width, "mp4")
    size = {"width": str(form.width), "height": str(form.height)}
    return size | {"mp4": form.url, "mp4_size": str(form.size_bytes)}


def _image(form: Form) -> dict[str, str]:
    return {
        "url": form.url,
        "width": str(form.width),
        "height": str(form.height),
        "size": str(form.size_bytes),
    }


def _date(unix_s: float) -> str:
    if not unix_s:
        return NEVER
    return datetime.fromtimestamp(unix_s, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")

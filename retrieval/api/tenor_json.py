"""A GIF in the words of Tenor's API v2.

Fields after the documentation (https://developers.google.com/tenor/guides/response-objects-and-errors)
and answers that were seen: `flags` is documented as a string and was sent as a list. A size of 0
bytes is of a rendition that has not been made yet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from retrieval.api.forms import LARGEST, Form, Forms
from retrieval.api.gifs import TITLE_CHARS
from retrieval.renditions import WIDTHS
from retrieval.search import Result, Searcher

SMALL, MEDIUM, _ = WIDTHS


def _largest_gif(forms: Forms) -> Form | None:
    return forms.gif if forms.has("gif") else None


def _moving(width: int, form: str, forms: Forms) -> Form | None:
    return forms.moving(width, form) if forms.has(form) else None


def _still(width: int, forms: Forms) -> Form | None:
    return forms.still(width)


def _itself(suffix: str, forms: Forms) -> Form | None:
    return forms.itself if forms.suffix == suffix else None


# Every format that Tenor has a name for, and what it is here. WebM is only what came as WebM.
FORMATS: Mapping[str, Callable[[Forms], Form | None]] = {
    "gif": _largest_gif,
    "mediumgif": partial(_moving, LARGEST, "gif"),
    "tinygif": partial(_moving, MEDIUM, "gif"),
    "nanogif": partial(_moving, SMALL, "gif"),
    "mp4": partial(_moving, LARGEST, "mp4"),
    "loopedmp4": partial(_moving, LARGEST, "mp4"),
    "tinymp4": partial(_moving, MEDIUM, "mp4"),
    "nanomp4": partial(_moving, SMALL, "mp4"),
    "webm": partial(_itself, ".webm"),
    "tinywebm": lambda forms: None,
    "nanowebm": lambda forms: None,
    "webp": partial(_moving, LARGEST, "webp"),
    "mediumwebp": partial(_moving, LARGEST, "webp"),
    "tinywebp": partial(_moving, MEDIUM, "webp"),
    "nanowebp": partial(_moving, SMALL, "webp"),
    "preview": partial(_still, LARGEST),
    "gifpreview": partial(_still, LARGEST),
    "mediumgifpreview": partial(_still, LARGEST),
    "tinygifpreview": partial(_still, MEDIUM),
    "nanogifpreview": partial(_still, SMALL),
    # Of stickers. What is transparent in the file is so in its renditions.
    "gif_transparent": _largest_gif,
    "tinygif_transparent": partial(_moving, MEDIUM, "gif"),
    "nanogif_transparent": partial(_moving, SMALL, "gif"),
    "webp_transparent": partial(_moving, LARGEST, "webp"),
    "tinywebp_transparent": partial(_moving, MEDIUM, "webp"),
    "nanowebp_transparent": partial(_moving, SMALL, "webp"),
    "webppreview_transparent": partial(_still, LARGEST),
    "tinywebppreview_transparent": partial(_still, MEDIUM),
    "nanowebppreview_transparent": partial(_still, SMALL),
}


def result_json(
    root: str,
    result: Result,
    searcher: Searcher,
    formats: Collection[str],
    created: float,
    is_sticker: bool,
) -> dict[str, Any]:
    """A result as a response object with some FORMATS; `created` is a Unix time or 0.

    A GIF that has none of the formats, because it is on another site and of another, has `gif`.
    """
    record, forms = result.record, Forms(root, result, searcher)
    media = media_formats(forms, formats) or {"gif": media_json(forms.itself)}
    address = f"{root}/v2/view/{record.id}"
    title = record.title[:TITLE_CHARS]
    flags = ["sticker"] * is_sticker + ["static"] * (record.n_frames == 1)
    return {
        "id": record.id,
        "title": title,
        "media_formats": media,
        "created": created,
        "content_description": title,
        "itemurl": address,
        "url": address,
        "tags": list(record.tags),
        "flags": flags,
        "hasaudio": False,
        "hascaption": bool(record.texts),
        # Not Tenor's: what a library is shown under.
        "license": record.license,
        "attribution": record.attribution,
    }


def media_formats(forms: Forms, formats: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    """The media objects of those formats that the GIF has."""
    made = {name: FORMATS[name](forms) for name in formats}
    return {name: media_json(form) for name, form in made.items() if form}


def media_json(form: Form) -> Mapping[str, Any]:
    return {
        "url": form.url,
        "duration": form.duration_ms / 1000,
        "preview": "",
        "dims": [form.width, form.height],
        "size": form.size_bytes,
    }

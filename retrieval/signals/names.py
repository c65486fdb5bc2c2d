"""The name of a GIF in words: its title, its file name and its tags."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from retrieval.library import Record

MAX_TAGS = 12

_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
# What cameras, sites and editors write into file names says nothing about the picture.
_NOISE = frozenset(
    {
        "giphy",
        "tenor",
        "imgur",
        "tumblr",
        "reddit",
        "gif",
        "gifs",
        "img",
        "image",
        "images",
        "pic",
        "picture",
        "video",
        "vid",
        "mp4",
        "webp",
        "original",
        "source",
        "downsized",
        "download",
        "final",
        "copy",
        "untitled",
        "unnamed",
        "screenshot",
        "reaction",
        "reactions",
        "animated",
        "anim",
        "dsc",
        "dscn",
        "pxl",
        "screen",
        "recording",
        "whatsapp",
    }
)
_RANDOM = re.compile(r"(?=.*\d)(?=.*[a-z])[0-9a-z]{8,}|[0-9a-f]{12,}", re.IGNORECASE)


def split_name(name: str) -> str:
    """Return the words of a file name or title, lower case; "" if it says nothing.

    >>> split_name("ThisIsFine-dog_02.gif"), split_name("IMG_1234.gif"), split_name("0001.gif")
    ('this is fine dog', '', '')
    >>> split_name("giphy (3).gif"), split_name("aint-nobody-got-time.gif")
    ('', 'aint nobody got time')
    """
    stem = re.sub(r"\.(gif|webp|apng|png|jpe?g|mp4|webm)$", "", name, flags=re.IGNORECASE)
    parts = (part for part in re.split(r"[\W_]*[\s_\-+.()]+[\W_]*", stem) if part)
    known = (part for part in parts if not _RANDOM.fullmatch(part))
    words = _WORD.findall(_CAMEL_CASE.sub(" ", " ".join(known)).lower())
    return " ".join(word for word in words if not word.isdigit() and word not in _NOISE)


def name_of(record: Record) -> str:
    """Return what a GIF is called, as one text: title, file name if it says more, tags."""
    texts = [split_name(record.title)]
    for place in record.places[:2]:
        texts.append(split_name(PurePosixPath(unquote(urlsplit(place).path)).name))
    name = ", ".join(dict.fromkeys(text for text in texts if text))
    tags = [tag for tag in record.tags if tag.lower() not in name][:MAX_TAGS]
    return ": ".join(text for text in (name, ", ".join(tags)) if text)

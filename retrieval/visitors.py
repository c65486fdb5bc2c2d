"""What visitors of the page may read: an error's sentence without the paths of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# An absolute path, but no part of an address or of a relative path.
_PATH = re.compile(r"(?:(?<![\w:/.~-])|(?<=local-dir:))/(?:[^\s/'\"`,;()]+/)*([^\s/'\"`,;()]+)")


def without_paths(text: str, folders: Iterable[Path | str] = ()) -> str:
    """The text with each absolute path cut down to its last part.

    `folders` are known ones, which may be relative, or have spaces in their names.

    >>> without_paths("/srv/gifs/mine is damaged; see https://a.b/c and local-dir:/srv/clip")
    'mine is damaged; see https://a.b/c and local-dir:clip'
    """
    for folder in sorted(map(str, folders), key=len, reverse=True):
        if len(folder) > 1:
            text = re.sub(rf"(?<!\w){re.escape(folder)}(?!\w)", Path(folder).name, text)
    return _PATH.sub(r"\1", text)

"""What visitors of the page may read: an error's sentence without the paths of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# An absolute path, but no part of an address or of a relative path.
_PATH = re.compile(r"(?:(?<![\w:/.~-])|(?<=local-dir:))/(?:[^\s/'\"`,;()]+/)*([^\s/'\"`,;()]+)")


def without_paths(
    text: str, folders: Iterable[Path | str] = (), roots: Iterable[Path | str] = ()
) -> str:
    """The text with each absolute path cut down to its last part.

    `folders` are called by their names; they may be relative. What lies below `roots` is cut
    down, too, where their own names have spaces in them.

    >>> without_paths("/srv/gifs/mine is damaged; see https://a.b/c and local-dir:/srv/clip")
    'mine is damaged; see https://a.b/c and local-dir:clip'
    >>> without_paths("/home/a b/.cache/x and index/mine/y", ["index/mine"], ["/home/a b"])
    'x and mine/y'
    """
    names = {str(root): "/~" for root in roots}
    names |= {str(folder): Path(folder).name for folder in folders}
    for path in sorted(names, key=len, reverse=True):
        if len(path) > 1:
            text = names[path].join(re.split(rf"(?<![\w/]){re.escape(path)}(?!\w)", text))
    return _PATH.sub(r"\1", text)

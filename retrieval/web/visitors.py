"""Remove this machine's paths from text that visitors read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from retrieval.errors import SettingsError
from retrieval.hub import is_address
from retrieval.paths import ROOT
from retrieval.web.settings import current_settings

# An absolute path, but not a part of a URL or of a relative path.
_PATH = re.compile(r"(?:(?<![\w:/.~-])|(?<=local-dir:))/(?:[^\s/'\"`,;()]+/)*([^\s/'\"`,;()]+)")


def without_paths(
    text: str, folders: Iterable[Path | str] = (), roots: Iterable[Path | str] = ()
) -> str:
    """Replace each absolute path in the text by its last component.

    `folders`, which may be relative, are replaced by their names. Paths below `roots` are replaced
    even if the name of the root contains spaces.

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


def visible(text: object) -> str:
    """An error or a label as visitors may read it: without this machine's paths."""
    folders: list[Path | str] = []
    with suppress(SettingsError):
        settings = current_settings()
        folders = [settings.data, *([] if is_address(settings.index) else [settings.index])]
    return without_paths(str(text), folders, [ROOT, Path.home()])

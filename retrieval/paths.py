"""Folders of the project and of the user, and looking at or replacing a file in them.

ROOT is the checkout; in an installed package, it is the folder that the wheel carries instead
(pyproject.toml): the page, the starter library, data/ and space/, without tests and training.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

PACKAGE = Path(__file__).parent
_SHIPPED = PACKAGE / "shipped"
ROOT = _SHIPPED if _SHIPPED.is_dir() else PACKAGE.parent
STARTER = ROOT / "index" / "starter"
NAME = "clip-reaction-search"  # of the program's folders


def user_cache() -> Path:
    """The user's cache folder of this program: files that can be recreated."""
    return _user_folder("CACHE", ".cache")


def user_state() -> Path:
    """The user's state folder of this program: records of its actions on this machine."""
    return _user_folder("STATE", ".local/state")


def _user_folder(kind: str, default: str) -> Path:
    """This program's folder in an XDG base directory, https://specifications.freedesktop.org."""
    return Path(os.environ.get(f"XDG_{kind}_HOME") or Path.home() / default) / NAME


def write_json(file: Path, content: object) -> None:
    """Replace a file in one of these folders at once; OSError if it cannot be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(file)


# Opening a named pipe waits for its other end, and reading a device may never end: look first.
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def why_not_regular(mode: int) -> str:
    """The reason not to open a file with this `st_mode`; "" for a regular file.

    >>> why_not_regular(stat.S_IFIFO | 0o644), why_not_regular(stat.S_IFREG | 0o644)
    ('a named pipe; expected a regular file', '')
    """
    if stat.S_ISREG(mode):
        return ""
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "a special file")
    return f"{kind}; expected a regular file"

"""What stands at a path, where a regular file is expected.

Opening a named pipe waits for its other end, and reading a device may never end: look first.
"""

from __future__ import annotations

import stat

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

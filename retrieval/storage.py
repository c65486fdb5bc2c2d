"""The place that an index is written to, and what the system says against writing there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from retrieval.errors import StorageError

_REMEDIES = {
    errno.ENOSPC: "Free some space, or name another --out",
    errno.EDQUOT: "Free some space, or name another --out",
    errno.EFBIG: "Allow larger files (ulimit -f), or name another --out",
    errno.EROFS: "Name an --out on a disk that can be written to",
    errno.EACCES: "Name an --out that you may write to",
    errno.EPERM: "Name an --out that you may write to",
}


def check_out(out: Path) -> None:
    """StorageError if `out` cannot be the name of a folder to write: ".", "..", "/", a link
    that leads nowhere, or a path that is not UTF-8."""
    if out.name in ("", ".."):
        raise StorageError(
            f"An index cannot be written to {str(out)!r}, for it is swapped in under its name. "
            f"Expected a folder's name, such as index/mine, or "
            f"{Path(os.path.abspath(out)) / 'index'}."
        )
    try:
        os.path.abspath(out).encode()
    except UnicodeEncodeError:
        raise StorageError(f"The path {str(out)!a} is not UTF-8. Name another --out.") from None
    with storage_errors(out):
        with suppress(FileNotFoundError):
            out.stat()
            return
        if out.is_symlink():
            raise StorageError(
                f"{out} is a link to {os.readlink(out)}, which is not there. Remove the link, or "
                f"name another --out."
            )


@contextmanager
def storage_errors(out: Path) -> Iterator[None]:
    """An OSError while the index at `out` is written, as a StorageError with the remedy."""
    try:
        yield
    except BrokenPipeError:  # of a reader that has seen enough, not of a disk
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        file = error.filename2 or error.filename  # of a copy, the one that was written
        where = f" ({file})" if file else ""
        remedy = _REMEDIES.get(error.errno or 0, "Mend that, or name another --out")
        old = "the old index is untouched" if os.path.exists(out) else "no index was written"
        raise StorageError(f"{out} cannot be written: {reason}{where}. {remedy}; {old}.") from error

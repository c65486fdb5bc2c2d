"""Files in the work folder of a build: downloads, kept under their SHA-256, and clean-up."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from retrieval.hub import sha256_of


class KeptDownloads:
    """Downloaded bytes that no bundle holds yet; thread-safe."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = threading.Lock()
        self._whole: set[str] = set()  # ids whose file was checked

    def keep(self, gif_id: str, data: bytes) -> None:
        """Write the bytes to a file, whose name tells whether it is complete."""
        file = self._folder / gif_id
        with self._lock:
            if self.get(gif_id):
                return
            file.parent.mkdir(exist_ok=True)
            remove(file)
            try:
                file.write_bytes(data)
            except OSError:
                with suppress(OSError):
                    file.unlink()
                raise
            self._whole.add(gif_id)

    def get(self, gif_id: str) -> Path | None:
        """The file of a kept download, if there is one and it is complete."""
        file = self._folder / gif_id
        if gif_id not in self._whole:
            if not is_regular(file) or sha256_of(file) != gif_id:
                return None
            self._whole.add(gif_id)
        return file


def is_regular(path: Path) -> bool:
    """Whether it is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def remove(path: Path) -> None:
    """Delete a file or a link, if there is one; a folder, which no build made, is renamed."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    number = 1
    while os.path.lexists(aside := path.with_name(f"damaged-{number}-{path.name}.d")):
        number += 1
    path.rename(aside)

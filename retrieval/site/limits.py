"""What the Hub takes of a repository: so many entries in a folder, so many files in all.

https://huggingface.co/docs/hub/storage-limits
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import PurePosixPath

from retrieval.errors import SpaceError

MAX_ENTRIES = 10_000  # of one folder
MAX_FILES = 100_000


def check_limits(
    paths: Collection[str], max_entries: int = MAX_ENTRIES, max_files: int = MAX_FILES
) -> None:
    """SpaceError if files of these paths are more than the Hub takes."""
    remedy = "Build a library with fewer GIFs: reaction-search build … --limit N"
    if len(paths) > max_files:
        raise SpaceError(
            f"The site would have {len(paths):,} files; the Hub takes {max_files:,} at most. "
            f"{remedy}"
        )
    entries = defaultdict(set)
    for path in paths:
        steps = PurePosixPath(path)
        for folder, entry in zip(steps.parents, (steps, *steps.parents), strict=False):
            entries[folder].add(entry)
    fullest = max(entries, key=lambda folder: len(entries[folder]), default=PurePosixPath("."))
    if len(entries[fullest]) > max_entries:
        raise SpaceError(
            f"The site's folder {fullest} would have {len(entries[fullest]):,} entries; the Hub "
            f"takes {max_entries:,} at most. {remedy}"
        )

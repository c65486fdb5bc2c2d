"""The pictures of a static site: originals, small animations and stills, named by their hash."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from retrieval.errors import BundleError, MediaError, SpaceError
from retrieval.hub import Progress
from retrieval.library import Bundle, Record, is_web_address
from retrieval.renditions import RenditionStore
from retrieval.web import Settings

WIDTHS = (100, 200)


@dataclass(frozen=True)
class Picture:
    """A GIF of the site; `frame` is shown by its still."""

    id: str
    suffix: str
    frame: int

    @property
    def original(self) -> str:
        return f"media/{self.id[:2]}/{self.id}{self.suffix}"

    def small(self, kind: str, width: int) -> str:
        """The path of a "rendition" or a "still"."""
        return f"{kind}/{self.id[:2]}/{self.id}/{width}.webp"

    @property
    def paths(self) -> list[str]:
        kinds = ("rendition", "still")
        return [self.original, *(self.small(kind, width) for kind in kinds for width in WIDTHS)]


def copied(bundle: Bundle) -> list[Record]:
    """The records whose files go into a site: not those on the web, which stay there.

    SpaceError if a file lies outside of the bundle, as nothing else may be published with it.
    """
    local = [record for record in bundle.records if not is_web_address(record.uri)]
    away = [record for record in local if record.uri not in bundle.manifest.files]
    if away:
        raise SpaceError(
            f"{len(away):,} of the {len(bundle.records):,} GIFs of {bundle.path} lie outside of "
            f"it (such as {away[0].uri or away[0].title!r}), so they are not published. Copy them "
            f"in: reaction-search build SOURCE --out {bundle.path} --copy-media"
        )
    return list(local)


def write_pictures(
    bundle: Bundle, pictures: Sequence[Picture], folder: Path, progress: Progress | None = None
) -> list[str]:
    """Write all files of the pictures below a folder, on all cores; returns warnings.

    A GIF that cannot be rendered stands for its own renditions. BundleError if a file is not the
    one of its id.
    """
    settings = Settings.read()
    store = RenditionStore(settings.cache, settings.cache_mb * 1_000_000)
    records = {record.id: record for record in bundle.records}
    for parent in {(folder / path).parent for picture in pictures for path in picture.paths}:
        parent.mkdir(parents=True, exist_ok=True)

    def write(picture: Picture) -> str:
        source = Path(bundle.media_path(records[picture.id]))
        data = source.read_bytes()
        if sha256(data).hexdigest() != picture.id:
            raise BundleError(
                f"{source} was changed since the bundle was built. Build it again: "
                f"reaction-search build SOURCE --out {bundle.path}"
            )
        (folder / picture.original).write_bytes(data)
        try:
            for path, small in _rendered(store, picture, data):
                (folder / path).write_bytes(small)
        except MediaError as error:
            for path in picture.paths[1:]:
                (folder / path).write_bytes(data)
            return f"GIF {picture.id[:12]} is shown as it is, without small renditions: {error}."
        return ""

    warnings = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, warning in enumerate(pool.map(write, pictures), 1):
            warnings += [warning] if warning else []
            if progress:
                progress(number, len(pictures))
    return warnings


def _rendered(store: RenditionStore, picture: Picture, data: bytes) -> Iterator[tuple[str, bytes]]:
    for width in WIDTHS:
        yield picture.small("rendition", width), store.animation(picture.id, data, width)
        yield picture.small("still", width), store.still(picture.id, data, picture.frame, width)

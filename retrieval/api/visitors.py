"""Visitors' pictures: one to search with, and their own to be ranked instead of the library.

The bytes are in memory while they are embedded; what is held afterwards are embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import numpy as np
from starlette.requests import Request

from retrieval.api.bodies import Bodies, while_connected
from retrieval.api.gifs import file_name, gif_json
from retrieval.api.held import Held
from retrieval.api.problems import ProblemError
from retrieval.encoders import Encoder
from retrieval.errors import SourceError
from retrieval.media import Limits
from retrieval.search import Searcher
from retrieval.web import (
    UPLOAD_LIMITS,
    EmbeddedFile,
    Settings,
    check_uploads,
    collect,
    embed_file,
    embed_upload,
)

NAME_CHARS = 200
PICTURE_BYTES = Limits().max_bytes


@dataclass(frozen=True)
class Picture:
    """A picture that a visitor searches with, by its embedding."""

    vector: np.ndarray
    fingerprint: str  # of the checkpoint


@dataclass(frozen=True)
class OwnPictures:
    """A visitor's own pictures."""

    encoder: Encoder
    files: tuple[EmbeddedFile, ...] = ()
    total_bytes: int = 0  # of the files as they were sent

    @cached_property
    def searcher(self) -> Searcher:
        return Searcher(collect(self.files, self.encoder), self.encoder)

    @property
    def size_bytes(self) -> int:
        """Of memory, about: frames, their means and the index."""
        return 2 * sum(file.size_bytes for file in self.files)

    def check(self, gif_id: str, name: str, n_bytes: int, settings: Settings) -> None:
        """Raise if a file of this size may not be added: too many, too large, or there already."""
        check_own(len(self.files) + 1, self.total_bytes + n_bytes, settings)
        if any(file.record.id == gif_id for file in self.files):
            raise ProblemError(
                HTTPStatus.CONFLICT, f"{name}: the same bytes as another one.", "same_bytes"
            )

    def with_file(self, file: EmbeddedFile, n_bytes: int) -> OwnPictures:
        return replace(self, files=(*self.files, file), total_bytes=self.total_bytes + n_bytes)


def check_own(n_files: int, n_bytes: int, settings: Settings) -> None:
    """ProblemError if a visitor's files are too many, or too large together."""
    try:
        check_uploads(n_files, n_bytes, settings.max_files, settings.max_total_mb)
    except SourceError as error:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error), "too_large") from error


@dataclass
class Visitors:
    """What visitors sent, by token."""

    pictures: Held[Picture] = field(default_factory=Held)
    own: Held[OwnPictures] = field(default_factory=Held)
    bodies: Bodies = field(default_factory=Bodies)

    @classmethod
    def of(cls, settings: Settings) -> Visitors:
        idle_s = settings.idle_minutes * 60.0
        return cls(Held(idle_s=idle_s), Held(idle_s=idle_s))

    def picture(self, token: str, encoder: Encoder) -> np.ndarray | None:
        """The embedding of a picture, None without a token; ProblemError if it was forgotten."""
        if not token:
            return None
        held = self.pictures.get(token)
        if held is None or held.fingerprint != encoder.fingerprint:
            raise ProblemError(
                HTTPStatus.GONE,
                "The picture is no longer in memory. Send it again.",
                "picture_gone",
            )
        return held.vector

    def own_pictures(self, token: str, encoder: Encoder) -> OwnPictures:
        """A visitor's own pictures; ProblemError if they were forgotten."""
        held = self.own.get(token)
        if held is None or held.encoder.fingerprint != encoder.fingerprint:
            raise _own_gone()
        return held

    async def add_picture(self, request: Request, searcher: Searcher) -> dict[str, Any]:
        """Embed the body; returns the picture's token."""
        too_large = f"The picture is larger than {PICTURE_BYTES / 1e6:.0f} MB, the most allowed."
        async with self.bodies.read(request, PICTURE_BYTES, too_large) as data:
            vector = await while_connected(request, lambda stop: embed_upload(data, searcher, stop))
        picture = Picture(vector, searcher.encoder.fingerprint)
        return {"picture": self.pictures.put(picture, vector.nbytes)}

    async def add_own(
        self, request: Request, searcher: Searcher, settings: Settings
    ) -> dict[str, Any]:
        """Embed the body as one more of the visitor's own pictures."""
        encoder = searcher.encoder
        token = request.query_params.get("mine", "")
        name = file_name(request.query_params.get("name", ""))[:NAME_CHARS] or "picture"
        own = self.own_pictures(token, encoder) if token else OwnPictures(encoder)
        check_own(len(own.files) + 1, own.total_bytes, settings)
        most = settings.max_total_mb * 1_000_000 - own.total_bytes
        too_large = (
            f"{name} and the files before it have more than {settings.max_total_mb:,} MB together, "
            f"or it alone more than {UPLOAD_LIMITS.max_bytes / 1e6:.0f} MB. Take some out."
        )
        async with self.bodies.read(request, min(most, UPLOAD_LIMITS.max_bytes), too_large) as data:
            n_bytes, gif_id = len(data), sha256(data).hexdigest()
            own.check(gif_id, name, n_bytes, settings)
            file = await while_connected(
                request, lambda stop: embed_file(name, data, encoder, stop)
            )

        def added(now: OwnPictures) -> tuple[OwnPictures, int]:
            now.check(gif_id, name, n_bytes, settings)  # others may have come meanwhile
            more = now.with_file(file, n_bytes)
            return more, more.size_bytes

        if token:
            changed = self.own.change(token, added)
            if changed is None:
                raise _own_gone()
        else:
            changed, size_bytes = added(own)
            token = self.own.put(changed, size_bytes)
        alone = OwnPictures(encoder, (file,)).searcher
        gif = gif_json(alone.single(gif_id), alone, is_ranked=False, has_score=False)
        return {"mine": token, "gif": gif}


def _own_gone() -> ProblemError:
    detail = "Your pictures are no longer in memory. Send them again."
    return ProblemError(HTTPStatus.GONE, detail, "mine_gone")

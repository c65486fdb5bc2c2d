"""What a searcher ranks: a bundle, or a visitor's own pictures."""

from __future__ import annotations

from typing import Protocol

from retrieval.encoders import Encoder
from retrieval.library import Catalog, FrameEmbeddings, Record, VectorIndex


class Collection(Protocol):
    """GIFs that can be searched: a bundle, or uploaded files.

    Row i of the index is GIF i if `pooling` is "mean", frame i if it is "best_frame".
    """

    @property
    def name(self) -> str: ...

    @property
    def records(self) -> Catalog: ...

    @property
    def embeddings(self) -> FrameEmbeddings: ...

    @property
    def index(self) -> VectorIndex: ...

    @property
    def pooling(self) -> str: ...

    def media_path(self, record: Record) -> str: ...

    def check_encoder(self, encoder: Encoder) -> None: ...

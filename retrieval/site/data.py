"""Placeholder until the engine's data is there: the columns of the catalogue that pictures need."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from retrieval.search import Searcher


def write_data(searcher: Searcher, folder: Path) -> dict[str, Any]:
    """Write catalog.json."""
    records = searcher.collection.records
    columns: dict[str, Any] = {
        "id": [record.id for record in records],
        "suffix": [PurePosixPath(record.uri).suffix for record in records],
        "frame": [0 for _ in records],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalog.json").write_text(json.dumps(columns), encoding="utf-8")
    return {}

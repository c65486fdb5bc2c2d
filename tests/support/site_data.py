"""The data files of a large static site, made from those of a small one with random vectors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.site.arrays import write_arrays, write_bytes
from tests.support.synthetic_bundle import LICENSES, WORDS

SENTENCE_DIM = 384


def write_large_site(small: Path, out: Path, n: int, dim: int) -> None:
    """Write the data of `n` GIFs with vectors of `dim` and names, beside the models of `small`.

    Titles repeat two of a few words and a number; every hundredth GIF looks like the one before.
    """
    facts: dict[str, Any] = json.loads((small / "data.json").read_text(encoding="utf-8"))
    out.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = facts["files"]
    for name in ("cleaning.json", "reactions.bin"):
        write_bytes(out / name, (small / name).read_bytes())
    kinds = rng.dirichlet(np.full(len(facts["reactions"]["names"]), 0.1), n).astype(np.float16)
    files["kinds.bin"] = write_arrays(out / "kinds.bin", {"kinds": kinds})
    files["frames.bin"] = write_arrays(out / "frames.bin", _rows(rng, n, dim))
    gifs = {"gifs": np.arange(n, dtype=np.int32)}
    names = {**gifs, **_rows(rng, n, SENTENCE_DIM)}
    files["names.bin"] = write_arrays(out / "names.bin", names)
    files.pop("words.bin", None)
    files.pop("examples.bin")
    columns = json.dumps(_columns(n), separators=(",", ":")).encode()
    files["catalog.json"] = write_bytes(out / "catalog.json", columns)
    facts |= {"dim": dim, "n_gifs": n, "examples": [], "shown": {}, "files": files}
    (out / "data.json").write_text(json.dumps(facts), encoding="utf-8")


def _rows(rng: np.random.Generator, n: int, dim: int) -> dict[str, np.ndarray]:
    rows = rng.integers(-127, 128, (n, dim), np.int8)
    return {"scales": np.full(n, 1 / (73 * dim**0.5), np.float32), "rows": rows}


def _columns(n: int) -> dict[str, Any]:
    numbers = range(n)
    words = [(i % len(WORDS), i // len(WORDS) % len(WORDS)) for i in numbers]
    titles = [f"{WORDS[a]} {WORDS[b]} {i}" for i, (a, b) in enumerate(words)]
    one = {"values": ["https://example.org"], "of": [[0]] * n}
    return {
        "id": [hashlib.sha256(str(i).encode()).hexdigest() for i in numbers],
        "title": titles,
        "name": titles,
        "emoji": [""] * n,
        "width": [200] * n,
        "height": [200] * n,
        "n_frames": [12] * n,
        "duration_ms": [500] * n,
        "group": [i - (i % 100 == 1) for i in numbers],
        "suffix": [".gif"] * n,
        "bytes": [50_000] * n,
        "web": [None] * n,
        "file_name": [f"{i}.gif" for i in numbers],
        "frame": [0] * n,
        "time_ms": [0] * n,
        "texts": {},
        "tags": {"values": list(WORDS), "of": [list(pair) for pair in words]},
        "license": {"values": list(LICENSES), "of": [[i % len(LICENSES)] for i in numbers]},
        "source": one,
        "attribution": one,
        "web_sources": ["https://example.org"],
    }

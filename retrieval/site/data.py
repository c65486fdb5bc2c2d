"""The data of a static site: what frontend/engine needs to search a bundle in a browser.

    data.json      facts, constants, texts; the size and hash of the other files. Loaded first.
    catalog.json   the catalogue in columns (retrieval.site.catalog)
    kinds.bin      which of the 43 reactions each GIF expresses, float16 (n, 43)
    examples.bin   the example queries, understood: they are answered before the model is there
    frames.bin     one vector per GIF, the mean of its frames: int8 (n, dim) and a factor per row
    names.bin, words.bin   sentence embeddings of names and words, the same way
    reactions.bin  the head, the training messages and the map to answers of the reaction model
    cleaning.json  tables to clean a message with

Vectors in eight bits move a cosine by about 0.001 (tests/test_site_engine.py has what that does
to the ranking). Standard deviations of scores need no covariances here: the engine scores every
row anyway. A bundle that pools the best frame is searched by means as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.api import answer_constants, kept_examples
from retrieval.encoders import ReactionModel
from retrieval.errors import BundleError
from retrieval.library import FORMAT_VERSION, SIGNALS, Bundle
from retrieval.search import FUSIONS, Searcher, Term, ranking_constants, ranking_weights
from retrieval.signals import LETTER_CONSTANTS, GifSignals, Reactions, signals_of
from retrieval.site.arrays import in_eight_bits, write_arrays, write_bytes
from retrieval.site.catalog import catalog_columns
from retrieval.site.texts import advice_tables, cleaning_tables, engine_texts, reaction_titles
from retrieval.web import LANGUAGES, examples_for, filter_choices, visible_label

DATA = "data.json"


def write_data(searcher: Searcher, folder: Path) -> dict[str, Any]:
    """Write the data files of a searcher's bundle into a folder; returns what data.json says.

    BundleError if the searcher has no bundle.
    """
    bundle = searcher.collection
    if not isinstance(bundle, Bundle):
        raise BundleError(f"{bundle.name} is no index bundle, so it cannot be a static site.")
    folder.mkdir(parents=True, exist_ok=True)
    signals = signals_of(bundle)
    files = {"catalog.json": _write_json(folder / "catalog.json", catalog_columns(searcher))}
    files["cleaning.json"] = _write_json(folder / "cleaning.json", cleaning_tables())
    means = searcher.means(np.arange(len(bundle.records)))
    examples, arrays = _understood_examples(searcher)
    files["examples.bin"] = write_arrays(folder / "examples.bin", arrays)
    files["frames.bin"] = write_arrays(folder / "frames.bin", _rows(means))
    facts: dict[str, Any] = {
        "format_version": 1,
        "bundle_format": FORMAT_VERSION,
        "checkpoint": visible_label(searcher),
        "fingerprint": bundle.manifest.fingerprint,
        "dim": bundle.manifest.dim,
        "n_gifs": len(bundle.records),
        "pooling": bundle.pooling,
        "signals": list(searcher.signals),
        "all_signals": list(SIGNALS),
        "fusions": list(FUSIONS),
        "constants": {**ranking_constants(), **LETTER_CONSTANTS, **answer_constants()},
        "reactions": {"names": list(Reactions.load().categories), "titles": reaction_titles()},
        "texts": engine_texts(),
        "advice": advice_tables(searcher),
        "filters": filter_choices(bundle.path),
        "examples": examples,
        "shown": _shown(searcher),
        "weights": None,
    }
    if signals:
        facts["weights"] = ranking_weights(signals.measured)
        facts["neighbours"] = vars(ReactionModel.load().neighbours)
        files |= _write_signals(folder, signals)
    facts["files"] = files
    _write_json(folder / DATA, facts)
    return facts


def _write_signals(folder: Path, signals: GifSignals) -> Mapping[str, Any]:
    files = {
        "kinds.bin": write_arrays(folder / "kinds.bin", {"kinds": signals.kinds.astype(np.float16)})
    }
    for name, texts in (("names", signals.names), ("words", signals.words)):
        if texts:
            arrays = {"gifs": texts.gifs.astype(np.int32), **_rows(texts.index.vectors)}
            files[f"{name}.bin"] = write_arrays(folder / f"{name}.bin", arrays)
    model = ReactionModel.load()
    files["reactions.bin"] = write_arrays(
        folder / "reactions.bin",
        {
            "head": model.head_weight.astype(np.float32),
            "bias": model.head_bias.astype(np.float32),
            "answer": (model.message_map @ model.text_map.T).astype(np.float16),
            "categories": model.message_categories.astype(np.uint8),
            **_rows(model.messages),
        },
    )
    return files


def _understood_examples(searcher: Searcher) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return the pages' example queries, and what each asks for: `Query` in arrays."""
    texts = list(dict.fromkeys(t for lang in LANGUAGES for t in examples_for(searcher, lang)))
    queries = [searcher.understand([Term(text)]) for text in texts]
    arrays = {"vectors": np.stack([query.vector for query in queries])}
    if queries[0].answers is not None:
        arrays["answers"] = np.stack([q.answers for q in queries if q.answers is not None])
        arrays["reactions"] = np.stack([q.reactions for q in queries if q.reactions is not None])
    return texts, {name: rows.astype(np.float32) for name, rows in arrays.items()}


def _shown(searcher: Searcher) -> dict[str, int]:
    """Return the number of the GIF that stands for each reaction."""
    find = searcher.collection.records.find
    numbers = {name: find(shown.record.id) for name, shown in kept_examples(searcher).items()}
    return {name: number for name, number in numbers.items() if number is not None}


def _rows(vectors: np.ndarray) -> dict[str, np.ndarray]:
    rows, scales = in_eight_bits(vectors)
    return {"scales": scales, "rows": rows}


def _write_json(path: Path, value: object) -> dict[str, Any]:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return write_bytes(path, text.encode("utf-8"))

"""The signals of a collection beyond its frames: written with a bundle, opened with it.

signals/names.*, words.*   sentence embeddings of names and of words in the picture
signals/kinds.f16          which of the 43 reactions each GIF expresses, float16 (n, 43)
signals/statistics.npz     means and covariances of the names', words' and frames' rows
signals/texts.sqlite       names and words by letter
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encoders import CHECKPOINTS, REACTIONS, Encoder, SentenceEncoder
from retrieval.errors import BundleError
from retrieval.hub import sha256_of
from retrieval.library import (
    DAMAGE,
    Bundle,
    Manifest,
    Record,
    build_command,
    map_vectors,
    version_of,
)
from retrieval.signals.measure import Measured, measure, source_weights
from retrieval.signals.names import name_of
from retrieval.signals.phrases import FILE as PHRASES
from retrieval.signals.phrases import Phrases, write_phrases
from retrieval.signals.reaction import Reactions, combine_kinds
from retrieval.signals.text_vectors import (
    SENTENCE_DIM,
    TextVectors,
    statistics_of,
    write_text_vectors,
)

SIGNALS_FOLDER = "signals"
SENTENCES = (f"{SIGNALS_FOLDER}/names.f16", f"{SIGNALS_FOLDER}/words.f16")
STATISTICS, KINDS = "statistics.npz", "kinds.f16"
VERSION = 2  # of these files and of the rules that make them


@dataclass(frozen=True)
class GifSignals:
    """The opened signals of a bundle."""

    names: TextVectors | None
    words: TextVectors | None
    kinds: np.ndarray  # float32 (n, 43); rows sum to 1
    phrases: Phrases
    frames: np.ndarray  # mean and covariance of the GIFs' mean embeddings, (dim + 1, dim)
    measured: Measured
    signals: tuple[str, ...]  # that the bundle was built with

    @cached_property
    def main_reactions(self) -> np.ndarray:
        """The number of the reaction that each GIF expresses most, int64 (n,)."""
        return np.asarray(self.kinds.argmax(axis=1), np.int64)

    @classmethod
    def open(cls, bundle: Path, manifest: Manifest) -> GifSignals | None:
        """Open the signals of a bundle, whose files were checked against this manifest.

        None if there are none, or if another version of this program made them: search goes by
        frames then. BundleError, OSError or ValueError if a file is damaged, or does not fit the
        number of GIFs.
        """
        facts, n = manifest.signal_facts, manifest.n_gifs
        if not is_current(facts):
            return None
        folder, n_kinds = bundle / SIGNALS_FOLDER, len(Reactions.load().categories)
        _check_listed(folder, manifest)
        try:
            statistics = _read_statistics(folder / STATISTICS, manifest.dim)
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{STATISTICS}: {error}") from error
        kinds = np.asarray(map_vectors(folder / KINDS, n_kinds), np.float32)
        if len(kinds) != n:
            raise ValueError(f"{KINDS} is of {len(kinds):,} GIFs; expected {n:,}")
        return cls(
            TextVectors.open(folder, "names", statistics["names"], n),
            TextVectors.open(folder, "words", statistics["words"], n),
            kinds,
            Phrases(folder / PHRASES, n),
            statistics["frames"],
            _measured(facts["measured"]),
            tuple(manifest.signals),
        )


def signals_of(collection: object) -> GifSignals | None:
    """Open the signals of a bundle; None for other collections and bundles without.

    BundleError if they are damaged.
    """
    if not isinstance(collection, Bundle):
        return None
    try:
        signals = GifSignals.open(collection.path, collection.manifest)
        if collection.version and version_of(collection.path) != collection.version:
            raise BundleError("it was rebuilt meanwhile")
        if signals and signals.words:
            n_texts = [len(record.texts) for record in collection.records]
            found = np.bincount(signals.words.gifs, minlength=len(n_texts))
            if not np.array_equal(found, n_texts):
                raise ValueError("words.rows counts other texts than the catalogue has")
        return signals
    except (BundleError, *DAMAGE) as error:
        raise BundleError(
            f"The signals of {collection.name} are damaged ({error}). Rebuild it: "
            f"{build_command(collection.path)}"
        ) from error


def _check_listed(folder: Path, manifest: Manifest) -> None:
    """ValueError if a file has no hash in the manifest, so that nobody checked it."""
    names = [STATISTICS, KINDS, PHRASES]
    names += [f"{kind}.{part}" for kind in ("names", "words") for part in ("rows", "f16")]
    names += [f"{kind}.faiss" for kind in ("names", "words") if (folder / f"{kind}.faiss").exists()]
    for name in names:
        if f"{SIGNALS_FOLDER}/{name}" not in manifest.files:
            raise ValueError(f"{name} is not in the manifest")


def _read_statistics(file: Path, dim: int) -> dict[str, np.ndarray]:
    """Return the three arrays; ValueError, before they are read, if one has another shape.

    NumPy reserves what a header asks for.
    """
    shapes = {
        f"{name}.npy": (width + 1, width)
        for name, width in (("names", SENTENCE_DIM), ("words", SENTENCE_DIM), ("frames", dim))
    }
    with zipfile.ZipFile(file) as archive:
        if {entry.filename for entry in archive.infolist()} != shapes.keys():
            raise ValueError(f"{STATISTICS} holds other arrays than names, words and frames")
        for name, shape in shapes.items():
            with archive.open(name) as stored:
                if np.lib.format.read_magic(stored) != (1, 0):
                    raise ValueError(f"{name} is of another version of NumPy's format")
                header = np.lib.format.read_array_header_1_0(stored)
            if header != (shape, False, np.dtype(np.float32)):
                raise ValueError(f"{name} is of {header}; expected float32 {shape}")
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("names", "words", "frames")}


def _measured(facts: Mapping[str, Any]) -> Measured:
    """ValueError if a value is no number."""
    if not all(isinstance(value, (int, float)) for value in facts.values()):
        raise ValueError("what was measured are no numbers")
    return Measured(**facts)


def is_current(facts: Mapping[str, Any]) -> bool:
    """Return whether these rules and this reaction model made the signals."""
    return bool(facts) and facts.get("version") == _version()


@cache  # the file is 12 MB
def _version() -> str:
    return f"{VERSION}-{sha256_of(CHECKPOINTS / 'mini' / REACTIONS)[:16]}"


def write_signals(
    bundle: Path,
    records: Sequence[Record],
    means: np.ndarray,
    encoder: Encoder,
    sentences: SentenceEncoder,
    signals: Collection[str],
    known: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Write the signals of GIFs with these records and unit mean embeddings (n, dim).

    `known` are embeddings of texts from an earlier build (`known_sentences`). Returns what the
    manifest says about them.
    """
    folder = bundle / SIGNALS_FOLDER
    folder.mkdir()
    model = Reactions.load()
    embed = _Embedded(sentences, known)
    names = words = list[tuple[int, str]]()
    if "names" in signals:
        names = [(gif, name) for gif, r in enumerate(records) if (name := name_of(r))]
    if "words" in signals:
        words = [(gif, text.text) for gif, r in enumerate(records) for text in r.texts]
    statistics, vectors = {"frames": statistics_of(means)}, {}
    for kind, texts in (("names", names), ("words", words)):
        gifs = np.array([gif for gif, _ in texts], np.int64)
        rows = embed([text for _, text in texts])
        statistics[kind] = write_text_vectors(folder, kind, gifs, rows)
        vectors[kind] = gifs, rows
    np.savez(folder / STATISTICS, **statistics)  # type: ignore[arg-type]
    measured = measure(means, encoder, names, words, vectors)
    weights = source_weights(measured)
    kinds = [(weights["frames"], model.kinds_of_pictures(means, model.encode_prompts(encoder)))]
    for kind, (gifs, rows) in vectors.items():
        kinds.append((weights[kind], _per_gif(model.kinds_of_texts(rows), gifs, len(records))))
    combine_kinds(kinds).astype(np.float16).tofile(folder / KINDS)
    in_pictures = [" / ".join(text.text for text in record.texts) for record in records]
    named = dict(names)
    write_phrases(folder, ((gif, named.get(gif, ""), said) for gif, said in enumerate(in_pictures)))
    return {
        "version": _version(),
        "text_tower": model.text_tower,
        "n_kinds": len(model.categories),
        "n_names": len(names),
        "n_words": len({gif for gif, _ in words}),
        "measured": measured.as_dict(),
    }


def known_sentences(
    bundle: Path, records: Sequence[Record], facts: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the embeddings of the texts in an earlier bundle, by text.

    Empty if it has none, or they were made by another text tower.
    """
    found: dict[str, np.ndarray] = {}
    if facts.get("text_tower") != Reactions.load().text_tower:
        return found
    texts = {
        "names": [name for record in records if (name := name_of(record))],
        "words": [text.text for record in records for text in record.texts],
    }
    for kind, of_kind in texts.items():
        vectors = np.fromfile(bundle / SIGNALS_FOLDER / f"{kind}.f16", np.float16)
        if len(vectors) == len(of_kind) * SENTENCE_DIM:
            found.update(zip(of_kind, vectors.reshape(-1, SENTENCE_DIM), strict=True))
    return found


class _Embedded:
    """Sentence embeddings as the files hold them, float16; each text is embedded once."""

    def __init__(self, encoder: SentenceEncoder, known: Mapping[str, np.ndarray]):
        self._encoder, self._known = encoder, dict(known)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        rows = self._encoder.encode_sentences(new).astype(np.float16)
        self._known.update(zip(new, rows, strict=True))
        found = [self._known[text] for text in texts]
        return np.stack(found) if found else np.zeros((0, SENTENCE_DIM), np.float16)


def _per_gif(kinds: np.ndarray, gifs: np.ndarray, n: int) -> np.ndarray:
    """Return the strongest of each GIF's texts in each reaction, nan for GIFs without."""
    found = np.full((n, kinds.shape[1]), -np.inf, np.float32)
    np.maximum.at(found, gifs, kinds)
    found[np.isinf(found[:, 0])] = np.nan
    return found

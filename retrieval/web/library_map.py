"""The map of a library: GIFs that look alike to the encoder lie near each other.

t-SNE (van der Maaten & Hinton, 2008) by scikit-learn places a sample of FIRST GIFs in a few
seconds, and then, starting from there, at most MAX_MAPPED (`python -m benchmarks library`). It
runs in a thread of its own, once per version of a bundle; the user's cache keeps the places.
One thread computes: two of them wait for each other at every step, so that on two busy cores
267 GIFs took 21 s instead of 3, and a search finds a core free this way.
Clusters are those of the places, so that a name stands over what one sees together. Distances
between far clusters mean nothing.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.library import Catalog
from retrieval.paths import user_cache, write_json
from retrieval.search import Searcher
from retrieval.web.map_clusters import Cluster, find_clusters

FIRST = 600  # GIFs that are placed first
MAX_MAPPED = 2_000
PERPLEXITY = 20.0
LATER_STEPS = 500  # of t-SNE that starts from the places of the first GIFs
NEAREST = 3  # first GIFs, between which a later one starts
CACHE_VERSION = 1
MAX_CACHED = 20  # maps in the cache folder

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_maps: OrderedDict[tuple[str, int], LibraryMap] = OrderedDict()


@dataclass(frozen=True)
class Layout:
    """GIFs on a plane."""

    gifs: np.ndarray  # catalogue numbers, int64 (n,)
    places: np.ndarray  # float32 (n, 2), each column from 0 to 1
    cluster_of: np.ndarray  # index of its cluster, -1 for none, int64 (n,)
    clusters: Sequence[Cluster]


class LibraryMap:
    """The map of one bundle, while it is made and afterwards."""

    def __init__(self, searcher: Searcher, version: str, *, first: int = FIRST):
        self.layout: Layout | None = None  # the best so far
        self.final = False
        self.failed = False
        self._searcher, self._first = searcher, first
        catalog = searcher.collection.records
        self._gifs = sample(catalog)
        self._file = user_cache() / "maps" / f"{version}.json"
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="library-map", daemon=True).start()

    @property
    def n_mapped(self) -> int:
        """The number of GIFs that the finished map has."""
        return len(self._gifs)

    def wait(self, timeout_s: float) -> Layout | None:
        """Wait at most that long for a layout."""
        with self._changed:
            self._changed.wait_for(lambda: self.layout or self.failed, timeout_s)
        return self.layout

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; returns whether it has come."""
        with self._changed:
            return self._changed.wait_for(lambda: self.final or self.failed, timeout_s)

    def _run(self) -> None:
        from threadpoolctl import threadpool_limits

        try:
            with threadpool_limits(1, user_api="openmp"):  # of this thread, not of the process
                self._make()
        except Exception:  # nobody would see the traceback of a thread
            _log.exception("The map of the library could not be made")
            with self._changed:
                self.failed = True
                self._changed.notify_all()

    def _make(self) -> None:
        places = read_places(self._file, len(self._gifs))
        if places is None:
            places = self._place()
            with suppress(OSError):  # it is made again next time
                write_places(self._file, places)
        self._publish(places, final=True)

    def _place(self) -> np.ndarray:
        first = self._searcher.means(self._gifs[: self._first])
        places = project(first)
        if len(self._gifs) <= self._first:
            return places
        self._publish(places, final=False)
        vectors = self._searcher.means(self._gifs)
        return project(vectors, start=start_between(vectors, places))

    def _publish(self, places: np.ndarray, *, final: bool) -> None:
        gifs = self._gifs[: len(places)]
        places = _scaled(places)
        kinds = self._searcher.expressed
        clusters, cluster_of = find_clusters(places, gifs, self._searcher.collection.records, kinds)
        with self._changed:
            self.layout, self.final = Layout(gifs, places, cluster_of, clusters), final
            self._changed.notify_all()


def library_map(searcher: Searcher, version: str) -> LibraryMap:
    """The map of a bundle's version: started by the first call, and again if it failed."""
    key = version, id(searcher.collection)
    with _lock:
        known = _maps.get(key)
        if known is None or known.failed:
            known = _maps[key] = LibraryMap(searcher, version)
        _maps.move_to_end(key)
        while len(_maps) > 2:
            _maps.popitem(last=False)
        return known


def sample(catalog: Catalog, n: int = MAX_MAPPED, seed: int = 0) -> np.ndarray:
    """The numbers of at most n GIFs, none a near-duplicate of another, in random order."""
    leaders = np.unique(catalog.groups)
    return np.random.default_rng(seed).permutation(leaders)[:n]


def project(vectors: np.ndarray, start: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    """Place unit vectors (n, dim) on a plane, float32 (n, 2), near ones near to each other.

    From `start` (n, 2) if it is given: the result then resembles it.
    """
    n = len(vectors)
    if n < 4:
        return np.stack([np.arange(n), np.zeros(n)], axis=1).astype(np.float32)
    from sklearn.manifold import TSNE  # takes a second to import, for one page

    options = {"metric": "cosine", "perplexity": min(PERPLEXITY, (n - 1) / 3)}
    if start is None:
        places = TSNE(**options, init="random", random_state=seed)
    else:
        # It was spread out already, which early exaggeration (12 by default) is for.
        options |= {"max_iter": LATER_STEPS, "early_exaggeration": 4}
        places = TSNE(**options, init=start.astype(np.float32), random_state=seed)
    return np.asarray(places.fit_transform(vectors), np.float32)


def start_between(vectors: np.ndarray, places: np.ndarray, seed: int = 0) -> np.ndarray:
    """Where t-SNE starts with all vectors (n, dim): between the nearest of those placed already.

    `places` (m, 2) are those of the first m vectors. Small, as scikit-learn asks of a start.
    """
    first = vectors[: len(places)]
    nearest = np.argsort(-(vectors @ first.T), axis=1)[:, :NEAREST]
    start = places[nearest].mean(axis=1)
    start[: len(places)] = places
    start = start / max(float(start.std()), 1e-6) * 1e-2
    # No two at the same place, where they would stay.
    return np.asarray(start + np.random.default_rng(seed).normal(0, 1e-4, start.shape), np.float32)


def read_places(file: Path, n: int) -> np.ndarray | None:
    """Places that `write_places` wrote, float32 (n, 2); None if there are none of n GIFs."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        places = np.array(stored["places"], np.float32)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    is_right = stored["version"] == CACHE_VERSION and places.shape == (n, 2)
    return places if is_right and np.isfinite(places).all() else None


def write_places(file: Path, places: np.ndarray) -> None:
    """Keep places in the user's cache, and only the MAX_CACHED newest maps there."""
    write_json(file, {"version": CACHE_VERSION, "places": places.round(3).tolist()})
    ours = [f for f in file.parent.iterdir() if re.fullmatch(r"[0-9a-f]{16}\.json", f.name)]
    ours.sort(key=lambda f: f.stat().st_mtime_ns, reverse=True)
    for old in ours[MAX_CACHED:]:
        old.unlink(missing_ok=True)


def _scaled(places: np.ndarray) -> np.ndarray:
    low, high = places.min(axis=0, initial=np.inf), places.max(axis=0, initial=-np.inf)
    return np.asarray((places - low) / np.maximum(high - low, 1e-9), np.float32)

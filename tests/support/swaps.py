"""Two bundles of one path, exchanged under a running server while clients search and fetch."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encoders import load_encoder
from retrieval.library import SIGNALS, Bundle, BundleWriter, GifFrames, owned_files
from retrieval.output import StagedFolder
from retrieval.paths import STARTER
from retrieval.signals import write_signals
from tests.support.server import Server, serving_api

MESSAGES = ("I got the job", "so tired", '"cat"', "thank you!", "no way", "happy birthday")
N_GIFS = 40  # of each bundle


def write_halves(folder: Path) -> tuple[Path, Path]:
    """Two bundles with all signals over other GIFs of the starter, whose files have equal names."""
    starter, encoder = Bundle.open(STARTER), OnceEncoder(load_encoder("mini", runtime="exported"))
    for name, first in (("a", 0), ("b", N_GIFS)):
        _write_part(starter, range(first, first + N_GIFS), folder / name, encoder)
    return folder / "a", folder / "b"


class OnceEncoder:
    """An encoder that encodes the same texts once: the reactions' prompts take ten seconds."""

    def __init__(self, encoder: Any):
        self._encoder, self._known = encoder, dict[tuple[str, ...], np.ndarray]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        if (key := tuple(texts)) not in self._known:
            self._known[key] = self._encoder.encode_text(texts)
        return self._known[key]


def _write_part(starter: Bundle, numbers: range, out: Path, encoder: Any) -> None:
    frames, starts = starter.embeddings, starter.embeddings.starts().tolist()
    ends = [*starts[1:], len(frames)]
    sources = [starter.records[number] for number in numbers]
    records = [
        replace(record, uri=f"media/{place}.gif", group=-1) for place, record in enumerate(sources)
    ]
    with BundleWriter(out, encoder.dim) as writer:
        writer.write_embeddings(
            GifFrames(
                starter.records[number].id,
                frames.frame_indices[starts[number] : ends[number]],
                frames.times_ms[starts[number] : ends[number]],
                frames.vectors[starts[number] : ends[number]],
            )
            for number in numbers
        )
        writer.write_index()
        writer.write_catalog(records)
        facts = write_signals(writer.folder, records, writer.means(), encoder, encoder, SIGNALS, {})
        for record, source in zip(records, sources, strict=True):
            writer.add_media(Path(record.uri).name, starter.path / source.uri, record.id)
        writer.finish(replace(starter.manifest, signal_facts=facts, n_near_duplicates=0))


def swap_in(bundle: Path, out: Path) -> None:
    """Put a copy of a bundle in the place of the one at `out`, as a build does."""
    with StagedFolder(out, owned_files) as staged:
        shutil.copytree(bundle, staged.path, dirs_exist_ok=True)
        staged.commit()


@dataclass
class Seen:
    """What clients saw, and what they must not see."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)  # of searches


def swap_under_load(folder: Path, n_swaps: int, every_s: float, n_clients: int) -> tuple[Seen, int]:
    """Serve a bundle, exchange it so often while clients are busy.

    Returns what they saw, and how many more open files the server has at the end.
    """
    halves = write_halves(folder)
    ids = [{record.id for record in Bundle.open(half).records} for half in halves]
    served, seen, ended = folder / "served", Seen(), threading.Event()
    swap_in(halves[0], served)
    environment = {
        "REACTION_INDEX": str(served),
        "REACTION_CACHE": str(folder / "renditions"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    with serving_api(environment, wait_for="/api/v1/ready") as server:
        clients = [
            threading.Thread(target=_client, args=(server, ids, seen, ended, number))
            for number in range(n_clients)
        ]
        for client in clients:
            client.start()
        time.sleep(1)
        n_open = _n_open(server)
        for number in range(n_swaps):
            swap_in(halves[(number + 1) % 2], served)
            time.sleep(every_s)
        time.sleep(1)
        ended.set()
        for client in clients:
            client.join(30)
        return seen, _n_open(server) - n_open


def _client(
    server: Server, ids: list[set[str]], seen: Seen, ended: threading.Event, seed: int
) -> None:
    chance = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    while not ended.is_set():
        try:
            _ask(connection, chance, ids, seen)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            seen.wrong.append(repr(error))
            connection.close()


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def _ask(
    connection: http.client.HTTPConnection, chance: random.Random, ids: list[set[str]], seen: Seen
) -> None:
    query = chance.choice(MESSAGES).replace(" ", "+").replace('"', "%22")
    start = time.perf_counter()
    status, body = _get(connection, f"/api/v1/search?q={query}&limit=12")
    seen.took_s.append(time.perf_counter() - start)
    seen.counts[f"search {status}"] += 1
    if status != 200:
        seen.wrong.append(f"search: {status} {body[:200]!r}")
        return
    gifs: list[dict[str, Any]] = json.loads(body)["gifs"]
    found = {gif["id"] for gif in gifs}
    whole = [name for name, known in zip("ab", ids, strict=True) if found <= known]
    seen.counts[f"answers of {whole[0] if whole else 'both'}"] += bool(found)
    if not whole:
        seen.wrong.append(f"an answer of both bundles to {query}")
    for gif in chance.sample(gifs, min(2, len(gifs))):
        # An answer from before a swap may name a GIF that is gone: then there is no address.
        for kind in ("file", "preview", "still"):
            if gif[kind]:
                _fetch(connection, gif["id"], kind, gif[kind], seen)


def _fetch(
    connection: http.client.HTTPConnection, gif_id: str, kind: str, address: str, seen: Seen
) -> None:
    status, body = _get(connection, f"/{address}")
    seen.counts[f"{kind} {status}"] += 1
    is_right = kind != "file" or hashlib.sha256(body).hexdigest() == gif_id
    if not (status == 200 and is_right) and not (status == 404 and b"/" not in body):
        seen.wrong.append(f"{kind} of {gif_id[:12]}: {status} {body[:100]!r}")


def _n_open(server: Server) -> int:
    """Open files of the server that are no sockets (Linux)."""
    n = 0
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            n += not str(link.readlink()).startswith("socket:")
        except OSError:  # closed meanwhile
            continue
    return n

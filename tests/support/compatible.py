"""The compatible services on a server of their own, and the schemas of their answers."""

from __future__ import annotations

import json
from collections.abc import MutableMapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import numpy as np
from jsonschema import Draft202012Validator
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from retrieval.api import Service
from retrieval.encoders import load_encoder
from tests.support.api import loaded
from tests.support.synthetic_bundle import write_synthetic_bundle

JOB = "I got the job 🎉"
ROOT = "http://testserver"  # where Starlette's client finds the routes
N_DISTINCT = 265  # GIFs of the starter library, near-duplicates once
SCHEMAS = Path(__file__).parent / "schemas"
ELSEWHERE = "https://gifs.example.org/happy.gif"
FILM_ELSEWHERE = "https://gifs.example.org/happy.mp4"
LONG = "x" * 100_000
UNKNOWN = "0123456789abcdef" * 4
# Paths that some servers take for a way out of a folder, as they come after a service's prefix.
ESCAPES = (
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cwindows",
    "..%00.gif",
    "%c0%ae%c0%ae%c0%af",
)


def compatible_client() -> TestClient:
    """A client of all routes, when the library that REACTION_INDEX names is loaded."""
    return loaded(TestClient(Starlette(routes=Service().routes), follow_redirects=False))


def raw_get(client: TestClient, target: str) -> tuple[int, Any]:
    """Status and JSON of a GET whose target no client would send: too long, or with `..` in it."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"testserver")],
        "server": ("testserver", 80),
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    anyio.run(client.app, scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return int(sent[0]["status"]), json.loads(body)


@cache
def _validator(service: str, name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{service}.json").read_text())
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]})


def check(content: Any, service: str, name: str) -> None:
    """Fail unless an answer has the form that a service documents."""
    errors = list(_validator(service, name).iter_errors(content))
    assert not errors, "\n".join(f"{error.json_path}: {error.message}"[:400] for error in errors)


def build_mixed_bundle(folder: Path) -> Path:
    """A bundle whose GIFs are, in order: a large PNG, one on another site, a film there, one
    whose file is missing, a GIF of 300 by 900 pixels."""
    media = []
    for name, size in {"wide.png": (960, 540), "tall.gif": (300, 900)}.items():
        media.append(folder / name)
        noise = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8)
        pictures = [Image.fromarray(np.roll(noise, n, 0)) for n in range(2)]
        more: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "duration": 100}
        pictures[0].save(media[-1], **(more if name.endswith("gif") else {}))
    encoder = load_encoder("mini", runtime="exported")
    vectors = np.eye(5, encoder.dim, dtype=np.float32)
    sizes: Sequence[dict[str, Any]] = (
        {"uri": "media/wide.png", "width": 960, "height": 540, "n_frames": 1, "duration_ms": 0},
        {"uri": ELSEWHERE, "width": 320, "height": 180},
        {"uri": FILM_ELSEWHERE, "width": 640, "height": 360},
        {"uri": "media/missing.gif"},
        {"uri": "media/tall.gif", "width": 300, "height": 900, "n_frames": 2},
    )
    changes = {number: {**facts, "group": -1} for number, facts in enumerate(sizes)}
    write_synthetic_bundle(folder / "mixed", media, [vectors], encoder, changes)
    return folder / "mixed"

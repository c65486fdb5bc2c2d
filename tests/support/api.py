"""The API on a server of its own, over the library that REACTION_INDEX names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from retrieval.api import API_ROUTE, api_routes, create_app
from retrieval.web import current_settings, loader

ROOT = f"{API_ROUTE}/"
LOCAL = "http://127.0.0.1:8501"


def api_app() -> Starlette:
    return Starlette(routes=api_routes())


def api_client() -> TestClient:
    return TestClient(api_app())


@contextmanager
def started_client(
    index: Path, data: Path, encoder: Any, patch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """The whole API over the bundle at `index`, as a program on this machine asks it."""
    patch.setattr(loader, "encoder_of", lambda *of: encoder)
    configure(patch, INDEX=str(index), DATA=str(data))
    with TestClient(create_app(), base_url=LOCAL) as started:
        yield loaded(started)
    current_settings.cache_clear()


def configure(patch: pytest.MonkeyPatch, **values: str) -> None:
    """Set REACTION_NAME to each value, and have the settings read again."""
    for name, value in values.items():
        patch.setenv(f"REACTION_{name}", value)
    current_settings.cache_clear()


def loaded(client: TestClient) -> TestClient:
    """Wait until the library is loaded, or cannot be."""
    for _ in range(600):
        state = client.get(ROOT + "state").json()
        if state["ready"] or state["error"]:
            return client
        time.sleep(0.05)
    raise AssertionError("the library did not load")


def search(client: TestClient, status: int = 200, **parameters: Any) -> dict[str, Any]:
    """The answer to a search; `not_` stands for the parameter "not"."""
    parameters = {name.rstrip("_"): value for name, value in parameters.items()}
    response = client.get(ROOT + "search", params=parameters)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def titles(answer: dict[str, Any]) -> list[str]:
    return [gif["title"] for gif in answer["gifs"]]

"""The API on a server of its own, over the library that REACTION_INDEX names."""

from __future__ import annotations

import time
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from retrieval.api import API_ROUTE, api_routes

ROOT = f"{API_ROUTE}/"


def api_app() -> Starlette:
    return Starlette(routes=api_routes())


def api_client() -> TestClient:
    return TestClient(api_app())


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

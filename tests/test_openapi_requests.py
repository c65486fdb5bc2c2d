"""Requests that schemathesis makes up from the OpenAPI document, right ones and wrong ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from starlette.testclient import TestClient

from retrieval.api import API_ROUTE, create_app
from retrieval.web import current_settings
from tests.support.api import loaded
from tests.support.signal_bundle import build_signal_bundle

EXAMPLES = 12  # of each operation: 20 s in all


app = create_app()
schema = schemathesis.openapi.from_asgi(f"{API_ROUTE}/openapi.json", app)


@pytest.fixture(autouse=True, scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        folder: Path = tmp_path_factory.mktemp("requests")
        patch.setenv("REACTION_INDEX", str(build_signal_bundle(folder)))
        patch.setenv("REACTION_DATA", str(folder / "data"))
        patch.setenv("REACTION_FEEDBACK", "on")
        current_settings.cache_clear()
        with TestClient(app) as client:
            loaded(client)
            yield
    current_settings.cache_clear()


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_the_server(case):
    response = case.call()
    case.validate_response(response, checks=[not_a_server_error])
    text = response.text
    assert "Traceback" not in text
    if response.status_code >= 400:
        assert response.headers["content-type"][0].startswith("application/problem+json")
        detail = response.json()["detail"]
        assert detail and "\n" not in detail.strip()

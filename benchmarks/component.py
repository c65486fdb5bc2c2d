"""How a component should get its answer: by Streamlit's script, or from a route of the server.

    python -m benchmarks.component

Serves this file as a Streamlit app with one component (components v2, in a fragment). In a real
browser, measures the time from a change to the data of 30 results in the component, both ways; the
work itself is none, so that the figures are what each way costs. Needs the extra [dev].
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from retrieval.web import tune_server

ROUTE = "/results"
N_RESULTS, N_CHANGES = 30, 40
COMPONENT = """
export default function ({data, setStateValue}) {
  window.component = {data, setStateValue};
  window.onData?.(data);
}
"""
BY_SCRIPT = """
(n) => new Promise((done) => {
  const start = performance.now();
  window.onData = (data) => data.message === `message ${n}` && done(performance.now() - start);
  window.component.setStateValue('message', `message ${n}`);
})
"""
BY_ROUTE = f"""
async (n) => {{
  const start = performance.now();
  await (await fetch(`{ROUTE}?message=${{n}}`)).json();
  return performance.now() - start;
}}
"""


def results(message: object) -> dict[str, object]:
    gifs = [{"id": f"{n:064d}", "title": "x" * 40, "score": 0.5} for n in range(N_RESULTS)]
    return {"message": message, "gifs": gifs}


def page() -> None:
    component = st.components.v2.component("results", js=COMPONENT)

    @st.fragment
    def fragment() -> None:
        asked = (st.session_state.get("asked") or {}).get("message")
        component(key="asked", data=results(asked), on_message_change=lambda: None)

    fragment()


def answer(request: Request) -> JSONResponse:
    return JSONResponse(results(request.query_params.get("message")))


def main() -> None:
    from tests.support.browser import chromium
    from tests.support.server import serving

    with serving(app=Path(__file__)) as server, chromium() as browser:
        page = browser.new_page()
        page.goto(server.address)
        page.wait_for_function("() => window.component")
        time.sleep(2)
        for name, way in (
            ("a run of the fragment", BY_SCRIPT),
            ("a route of the server", BY_ROUTE),
        ):
            took_ms = [float(page.evaluate(way, n)) for n in range(N_CHANGES)]
            middle, high = np.percentile(took_ms, [50, 95])
            print(f"{name}: median {middle:.0f} ms, 95th percentile {high:.0f} ms")


if __name__ == "__main__":
    if "streamlit" in sys.argv[0] or st.runtime.exists():
        page()
    else:
        main()
else:
    app = st.App(__file__, routes=[Route(ROUTE, answer)], lifespan=tune_server)

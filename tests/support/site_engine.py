"""The engine of a static site in a real browser, over a plain server on loopback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from retrieval.paths import ROOT
from retrieval.web.modules import join_modules
from tests.support.static_server import static_server

ENGINE = ROOT / "frontend" / "engine"

# An engine in the page itself, whose encoder is this process, or makes vectors up.
_OPEN = """async ({isGiven, folder}) => {
  const { Engine } = await import(`./${folder}/engine/engine.js`);
  const { readArrays } = await import(`./${folder}/engine/arrays.js`);
  const json = async (name) => (await fetch(`${folder}/data/${name}`)).json();
  const facts = await json("data.json");
  const arrays = async (name) => {
    const known = facts.files[name];
    if (!known) return null;
    return readArrays(await (await fetch(`${folder}/data/${name}`)).arrayBuffer(), known.arrays);
  };
  const engine = new Engine(facts, await json("catalog.json"), (await arrays("kinds.bin"))?.kinds);
  const names = ["frames", "names", "words", "examples"];
  const vectorsOf = {};
  for (const name of names) vectorsOf[name] = await arrays(`${name}.bin`);
  engine.setVectors(vectorsOf);
  const random = (dim) => {
    const vector = Float32Array.from({ length: dim }, () => Math.random() - 0.5);
    const norm = Math.hypot(...vector);
    return vector.map((value) => value / norm);
  };
  const encode = async (texts) => {
    const made = () => [random(facts.dim), random(384)];
    const rows = isGiven ? await encodeTexts(texts) : texts.map(made);
    return {
      embeddings: rows.map((row) => Float32Array.from(row[0])),
      sentences: rows.map((row) => Float32Array.from(row[1])),
    };
  };
  engine.setEncoder({ hasPictures: false, encode }, await arrays("reactions.bin"));
  window.engine = engine;
}"""
_ASK = """async (paths) => {
  const answers = [];
  for (const path of paths) {
    const start = performance.now();
    const { status, json } = await window.engine.request({ path });
    answers.push({ status, json, took_ms: performance.now() - start });
  }
  return answers;
}"""
# The worker as a page uses it; ends when it has said what is waited for.
_START_WORKER = """([address, base, until]) => new Promise((resolve) => {
  const worker = new Worker(address, { type: "module" });
  const waiting = new Map();
  window.events = [];
  window.ask = (path, more = {}) => new Promise((answered) => {
    const id = waiting.size + 1;
    waiting.set(id, answered);
    worker.postMessage({ id, path, ...more });
  });
  worker.onmessage = ({ data }) => {
    if (data.id) waiting.get(data.id)(data);
    else window.events.push(data);
    if (data.event === until || `${data.event} by ${data.by}` === until) resolve();
    if (data.event === "failed") resolve();
  };
  worker.postMessage({ start: { base, lang: "en" } });
})"""

_ASK_WORKER = """async (paths) => {
  const answers = [];
  for (const path of paths) answers.push(await ask(path));
  return answers;
}"""


class EnginePage:
    """A page with an engine in it (`open`), or with the worker of one (`start_worker`)."""

    def __init__(self, page: Page, address: str):
        self.page, self.address = page, address

    def open(self, encoder: Any = None, folder: str = ".") -> None:
        """Start an engine with the vectors of an encoder, or with any; its data is in a folder."""
        if encoder is not None:
            self.page.expose_function("encodeTexts", lambda texts: _vectors(encoder, texts))
        self.page.evaluate(_OPEN, {"isGiven": encoder is not None, "folder": folder})

    def ask(self, paths: Sequence[str]) -> list[dict[str, Any]]:
        """Ask one after the other; returns {status, json, took_ms} of each."""
        answers: list[dict[str, Any]] = self.page.evaluate(_ASK, list(paths))
        return answers

    def start_worker(self, until: str = "failed") -> list[dict[str, Any]]:
        """Start the worker; returns its events up to the first of this name, or a failure.

        "ready" has two, "ready by names" and "ready by meaning".
        """
        self.page.evaluate(_START_WORKER, [f"{self.address}/worker.js", f"{self.address}/", until])
        events: list[dict[str, Any]] = self.page.evaluate("events")
        return events

    def ask_worker(self, path: str) -> dict[str, Any]:
        (answer,) = self.ask_worker_all([path])
        return answer

    def ask_worker_all(self, paths: Sequence[str]) -> list[dict[str, Any]]:
        """Ask one after the other; returns {status, json} of each."""
        answers: list[dict[str, Any]] = self.page.evaluate(_ASK_WORKER, list(paths))
        return answers


def write_engine(folder: Path) -> None:
    """Write the engine's modules, and its worker in one file, beside a site's data."""
    shutil.copytree(ENGINE, folder / "engine")
    (folder / "worker.js").write_text(join_modules(ENGINE, "worker"), encoding="utf-8")
    (folder / "index.html").write_text("<!doctype html><title>engine</title>", encoding="utf-8")


@contextmanager
def engine_page(browser: Browser, folder: Path) -> Iterator[EnginePage]:
    """A page of a folder that `write_engine` wrote to."""
    with static_server(folder) as server:
        page = browser.new_page()
        page.goto(server.address)
        yield EnginePage(page, server.address)
        page.close()


def _vectors(encoder: Any, texts: Sequence[str]) -> list[list[list[float]]]:
    """Each text's embedding and sentence embedding; [] of an encoder that has no sentences."""
    rows = encoder.encode_text(texts).tolist()
    if not hasattr(encoder, "encode_sentences"):
        return [[row, []] for row in rows]
    return [[*pair] for pair in zip(rows, encoder.encode_sentences(texts).tolist(), strict=True)]

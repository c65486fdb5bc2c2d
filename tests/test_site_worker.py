"""The parts of a static site's engine, its worker while files are missing, and a large library."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from retrieval.encoders.preprocess import Preprocess
from retrieval.encoders.tokenizer import clean_text, spell_out
from retrieval.evaluation import load_messages
from retrieval.paths import STARTER
from retrieval.search import Searcher
from retrieval.site import write_data
from retrieval.web import recognise_language
from tests.support.site_data import write_large_site
from tests.support.site_engine import ENGINE, EnginePage, engine_page, write_engine


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter's data and the engine."""
    folder = tmp_path_factory.mktemp("site")
    write_data(Searcher.open(STARTER), folder / "data")
    write_engine(folder)
    return folder


@pytest.fixture(scope="module")
def engine(site: Path, browser: Browser) -> Iterator[EnginePage]:
    with engine_page(browser, site) as page:
        page.open()
        yield page


def test_messages_are_cleaned_as_before_tokenizing(engine: EnginePage) -> None:
    texts = [m.text for m in load_messages("test")]
    texts += ["👍🏽 nice", "🏴‍☠️ ahoy 👩‍💻", "1️⃣ x", "❤️‍🔥", "🧑‍🤝‍🧑 👨‍👩‍👧 ❤", "🐱‍🚀!", "a ‍ b"]
    texts += [
        "“quoted” ‘it’",
        "ﬁne Ｈｅｌｌｏ　world",
        "a &amp;amp; b &#39;c&#x27; &eacute;",
        "x_y — z!",
    ]
    found = engine.page.evaluate(
        """async (texts) => {
          const { cleanerOf } = await import("./engine/cleaning.js");
          const { clean, spellOut } = cleanerOf(await (await fetch("data/cleaning.json")).json());
          return texts.map((t) => [spellOut(t), clean(t, "lower"), clean(t, "canonicalize")]);
        }""",
        texts,
    )
    for text, (spelt, lower, canonical) in zip(texts, found, strict=True):
        assert spelt == spell_out(text)
        assert lower == clean_text(text, "lower")
        assert canonical == clean_text(text, "canonicalize")


def test_language_is_recognised_by_script(engine: EnginePage) -> None:
    texts = [
        "축하해요!",
        "こんにちは 東京",
        "好的 谢谢",
        "привет",
        "I got the job 🎉",
        r"¯\_(ツ)_/¯",
    ]
    texts += ["ಠ_ಠ", "ok ㅋ", "שלום", "γεια σου", "สวัสดี", "नमस्ते", "مرحبا", "Ելք Ելք", ""]
    found = engine.page.evaluate("(texts) => texts.map(engine.languageOf)", texts)
    for text, key in zip(texts, found, strict=True):
        language = recognise_language(text)
        assert key == (language and language.key), text


def test_vector_instructions_give_what_plain_javascript_gives(engine: EnginePage) -> None:
    far = engine.page.evaluate(
        """async () => {
          const { Rows } = await import("./engine/arrays.js");
          const { kernelFor } = await import("./engine/kernel.js");
          let far = 0;
          for (const dim of [3, 16, 100, 384, 512, 1024]) {
            const rows = Int8Array.from({ length: 50 * dim }, (_, i) => ((i * 7919) % 255) - 127);
            const query = Float32Array.from({ length: dim }, (_, i) => Math.sin(i) / 20);
            const scales = new Float32Array(50).fill(1 / (73 * Math.sqrt(dim)));
            if (!kernelFor(rows, 50, dim)) return "no vectors";
            const quick = new Rows(rows, scales, dim).scores(query, new Float32Array(50));
            const plain = new Rows(rows, scales, dim);
            Object.assign(plain, { kernel: null, values: rows, width: dim });
            plain.scores(query, new Float32Array(50)).forEach((score, i) => {
              far = Math.max(far, Math.abs(score - quick[i]));
            });
          }
          return far;
        }"""
    )
    assert far < 1e-3


def test_visitors_pictures_are_ranked_in_the_worker_alone(engine: EnginePage) -> None:
    answers = engine.page.evaluate(
        """async () => {
          const { encoder } = engine;
          const vector = (number) => new Float32Array(256).fill(1, number, number + 1);
          const encodePicture = async (blob) => {
            const number = Number(await blob.text());
            if (Number.isNaN(number)) throw new Error("no picture");
            const frames = [{ index: 0, time_ms: 0, vector: vector(number) }];
            return { id: `id${number}`, width: 9, height: 9, nFrames: 1, durationMs: 0, frames };
          };
          engine.encoder = { ...encoder, hasPictures: true, encodePicture };
          const send = (path, text) =>
            engine.request({ path, method: "POST", body: new Blob([text]) });
          const first = await send("mine?name=one.png", "1");
          const token = first.json.mine;
          const answers = {
            first,
            second: await send(`mine?name=two.gif&mine=${token}`, "2"),
            again: await send(`mine?name=three.gif&mine=${token}`, "2"),
            wrong: await send("pictures?lang=ko", "x"),
          };
          const { picture } = (await send("pictures", "2")).json;
          answers.found = await engine.request({ path: `search?picture=${picture}&mine=${token}` });
          answers.library = await engine.request({ path: `search?picture=${picture}&limit=3` });
          answers.left = await engine.request({ path: `mine/${token}`, method: "DELETE" });
          answers.gone = await engine.request({ path: `search?q=x&mine=${token}` });
          engine.encoder = encoder;
          return answers;
        }"""
    )
    assert answers["first"]["json"]["gif"]["title"] == "one.png"
    assert answers["first"]["json"]["gif"]["file"] is None
    assert answers["second"]["status"] == 200
    assert (answers["again"]["status"], answers["again"]["json"]["code"]) == (409, "same_bytes")
    assert answers["wrong"]["status"] == 422 and "그림" in answers["wrong"]["json"]["detail"]
    gifs = answers["found"]["json"]["gifs"]
    assert [gif["title"] for gif in gifs] == ["two.gif", "one.png"]
    assert [gif["score"] for gif in gifs] == pytest.approx([1, 0], abs=0.01)
    assert answers["library"]["json"]["signals"] == ["frames"]
    assert answers["library"]["json"]["total"] == 267
    assert answers["left"]["status"] == 204
    assert answers["gone"]["json"]["code"] == "mine_gone"


@pytest.mark.parametrize("mode", ["longest", "shortest", "squash"])
def test_pictures_are_prepared_nearly_as_for_the_build(engine: EnginePage, mode: str) -> None:
    ramp = np.linspace(0, 255, 200)
    picture = np.stack(np.broadcast_arrays(ramp, ramp[:120, None], 90), axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    prepare = Preprocess((64, 64), (0.5,) * 3, (0.5,) * 3, resize_mode=mode, fill_color=255)
    found = engine.page.evaluate(
        """async ([bytes, settings]) => {
          const { openPicture, pixelsOf } = await import("./engine/pictures.js");
          const blob = new Blob([Uint8Array.from(bytes)], { type: "image/png" });
          const { width, height, nFrames, frames } = await openPicture(blob, 8);
          const pixels = Array.from(pixelsOf(frames[0].bitmap, settings));
          return { size: [width, height, nFrames], pixels };
        }""",
        [list(file.getvalue()), asdict(prepare)],
    )
    assert found["size"] == [200, 120, 1]
    pixels = np.array(found["pixels"]).reshape(64, 64, 3)
    exact = prepare(Image.fromarray(picture)).astype(int)
    assert np.abs(pixels - exact).mean() < 3  # of 255: another resampling, the same place


def test_names_answer_while_the_model_is_missing(site: Path, browser: Browser) -> None:
    with engine_page(browser, site) as page:
        events = page.start_worker()
        assert events[0] == {"event": "ready", "by": "names"}
        (failed,) = (event for event in events if event["event"] == "failed")
        assert failed["text"] == (
            "model.json could not be loaded (status 404). GIFs are found by name; reload the page "
            "to search by meaning."
        )
        named = page.ask_worker("search?q=thumbs+up&lang=en")["json"]
        assert named["provisional"] and named["signals"] == ["names"] and named["score"] is None
        assert named["gifs"][0]["title"] == "thumbs up"
        nothing = page.ask_worker("search?q=xyzzy&lang=ko")["json"]
        assert nothing["gifs"] == [] and "모델" in nothing["empty"]
        example = page.ask_worker("search?q=You%27re+awesome&lang=en")["json"]
        assert "provisional" not in example  # the page's examples come understood
        assert page.ask_worker("state?lang=en")["json"]["error"] == failed["text"]
        like = page.ask_worker(f"search?like={named['gifs'][0]['id']}")["json"]
        assert like["gifs"][0]["id"] == named["gifs"][0]["id"]


def test_damaged_file_is_named(site: Path, browser: Browser, tmp_path: Path) -> None:
    write_engine(tmp_path)
    (tmp_path / "data").mkdir()
    for file in (site / "data").iterdir():
        (tmp_path / "data" / file.name).write_bytes(file.read_bytes())
    file = tmp_path / "data" / "names.bin"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with engine_page(browser, tmp_path) as page:
        (failed,) = (e for e in page.start_worker() if e["event"] == "failed")
        assert "names.bin arrived damaged" in failed["text"]
        named = page.ask_worker("search?q=thumbs+up")["json"]["gifs"][0]
        refused = page.ask_worker(f"search?like={named['id']}")
        assert refused["status"] == 503 and "names.bin" in refused["json"]["detail"]


def test_lost_connection_leaves_the_search_by_name(site: Path, browser: Browser) -> None:
    with engine_page(browser, site) as page:
        page.page.context.route("**/frames.bin*", lambda route: route.abort())
        (failed,) = (e for e in page.start_worker() if e["event"] == "failed")
        assert "connection was lost while frames.bin" in failed["text"]
        assert page.ask_worker("search?q=thumbs+up")["json"]["gifs"][0]["title"] == "thumbs up"


def test_large_library_answers_at_once_in_little_memory(
    site: Path, browser: Browser, tmp_path: Path
) -> None:
    """50,000 GIFs × 512 in one thread: measured 16 ms and 244 MB, also on a busy machine."""
    write_large_site(site / "data", tmp_path / "data", n=50_000, dim=512)
    write_engine(tmp_path)
    with engine_page(browser, tmp_path) as page:
        page.open()
        words = ("happy dance", "so tired 12", "no cat", "wow", "coffee time")
        answers = page.ask([f"search?q={word}+{i}" for i in range(4) for word in words])
        assert all(len(answered["json"]["gifs"]) == 30 for answered in answers)
        assert median(answered["took_ms"] for answered in answers[5:]) < 150
        assert _renderer_mb(browser) < 400


def _renderer_mb(browser: Browser) -> float:
    """Memory of the largest page's process that is its own (Linux)."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = []
    for process in processes:
        status = Path(f"/proc/{process['id']}/status")
        if process["type"] == "renderer" and status.exists():
            (line,) = (s for s in status.read_text().splitlines() if s.startswith("RssAnon:"))
            sizes.append(int(line.split()[1]) / 1024)
    return max(sizes)


def test_every_sentence_of_the_engine_is_exported(site: Path) -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in sorted(ENGINE.glob("*.js")))
    used = set(re.findall(r'"((?:engine|nothing)\w*)"', source))
    texts = json.loads((site / "data" / "data.json").read_text(encoding="utf-8"))["texts"]
    for language, known in texts.items():
        assert used - known.keys() == set(), language

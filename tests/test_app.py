"""Logic and states of the pages, with AppTest."""

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from retrieval.api.library import library_routes
from retrieval.encoders.presets import CHECKPOINTS
from retrieval.library.catalog import read_catalog, write_catalog
from retrieval.paths import ROOT, STARTER
from retrieval.search.searcher import encoder_of
from retrieval.web import loader as loading
from retrieval.web.settings import current_settings
from retrieval.web.translations import LANGUAGES, translate
from retrieval.web.translations import texts as texts_in


def test_failed_load_is_retried_after_retry_after_s(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_latest", {})
    failed = loading.loading(tmp_path / "none")
    assert failed.wait(60) and "No index at" in str(failed.error)
    assert loading.loading(tmp_path / "none") is failed
    monkeypatch.setattr(loading, "RETRY_AFTER_S", 0.0)
    assert loading.loading(tmp_path / "none") is not failed


def test_message_waits_for_one_batch_of_an_upload_only(encoder):
    """A text query while the page's encoder encodes many pictures."""
    order: list[str] = []
    started, may_go_on = threading.Event(), threading.Event()

    class Slow(type(encoder)):
        def encode_pixels(self, pixels):
            started.set()
            may_go_on.wait(10)
            order.append(f"{len(pixels)} pictures")
            return super().encode_pixels(pixels)

        def encode_text(self, texts):
            order.append("message")
            return super().encode_text(texts)

    one_thread = loading.OneThreadEncoder(Slow())
    pictures = [np.full((2, 2, 3), 20 * i + 1, np.uint8) for i in range(10)]
    with ThreadPoolExecutor(2) as pool:
        uploading = pool.submit(one_thread.encode_pixels, pictures)
        started.wait(10)
        asking = pool.submit(one_thread.encode_text, ["red"])
        while not one_thread._worker._work_queue.qsize():
            time.sleep(0.01)
        may_go_on.set()
        asking.result(10)
        assert np.array_equal(uploading.result(10), encoder.encode_pixels(pictures))
    assert order == ["4 pictures", "message", "4 pictures", "2 pictures"]


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def loaded(page: AppTest) -> AppTest:
    """Run the page until the searcher has loaded."""
    page.run()
    for _ in range(120):
        if not any("…" in str(bar.proto) for bar in page.get("progress")):
            return page
        time.sleep(0.5)
        page.run()
    raise AssertionError("the checkpoint did not load")


def texts(page: AppTest) -> str:
    return "\n".join(element.value for element in page.text)


def test_first_screen_shows_the_form_and_no_error(page: AppTest):
    loaded(page)
    assert page.title[0].value == "Search Reaction GIFs with CLIP"
    assert page.info and not page.error and not page.exception


def test_page_shows_the_loading_step_and_accepts_input_meanwhile(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
):
    may_go_on = threading.Event()

    def slow(*args):
        may_go_on.wait(60)
        return encoder_of(*args)

    monkeypatch.setattr(loading, "_latest", {})
    monkeypatch.setattr(loading, "encoder_of", slow)
    page.run()
    (bar,) = [str(bar.proto) for bar in page.get("progress")]
    assert translate("en", "loading_checkpoint") in bar
    page.text_input(key="q").input("thank you").run()
    may_go_on.set()
    loaded(page)
    assert page.text_input(key="q").value == "thank you" and texts(page)


def test_typed_message_returns_results(page: AppTest):
    loaded(page)
    page.text_input(key="q").input("I'm so scared right now").run()
    assert not page.error and not page.exception
    assert "of 267 reactions in the starter library" in texts(page)
    assert "fear" in texts(page) or "anxious" in texts(page)


def test_examples_are_those_of_the_original_demo(page: AppTest):
    loaded(page)
    assert list(page.pills(key="example").options) == [
        "OMG that is disgusting",
        "I'm so scared right now",
        "I got the job 🎉",
        "Congratulations to all the flax-community week teams",
        "You're awesome",
        "I love you ❤️",
    ]


def test_example_fills_the_message_box_and_returns_results(page: AppTest):
    loaded(page)
    page.pills(key="example").set_value("I got the job 🎉").run()
    assert page.text_input(key="q").value == "I got the job 🎉"
    assert "dancing" in texts(page) and "star struck" in texts(page)


def test_permanent_url_returns_the_same_results(page: AppTest):
    loaded(page)
    page.text_input(key="q").input("so tired").run()
    page.text_input(key="not").input("angry").run()
    again = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    again.query_params.update({"q": "so tired", "not": "angry"})
    loaded(again)
    # All but the header, which contains the time taken.
    assert texts(again).splitlines()[1:] == texts(page).splitlines()[1:]


def test_empty_result_names_the_minimum_score(page: AppTest):
    loaded(page)
    page.text_input(key="q").input("thank you").run()
    page.slider(key="min").set_value(1.0).run()
    assert "Lower the minimum score" in page.info[0].value
    assert "0 of 267 reactions" in texts(page)


def test_more_like_this_searches_by_gif_and_back_returns_to_the_message(page: AppTest):
    loaded(page)
    page.text_input(key="q").input("I'm so scared right now").run()
    first = next(b for b in page.button if b.key.startswith("more-"))
    first.click().run()
    assert "More like" in texts(page) and not page.error and not page.exception
    next(b for b in page.button if b.label == "Back to the message").click().run()
    assert "More like" not in texts(page)


def test_more_like_of_an_unknown_gif_shows_an_error(page: AppTest):
    page.query_params["like"] = "0123456789abcdef"
    loaded(page)
    assert "No GIF 0123456789ab in this library" in page.error[0].value


def test_too_long_message_shows_an_error_and_the_page_stays_usable(page: AppTest):
    loaded(page)
    page.text_input(key="q").input("x" * 100_000).run()
    assert "100,000 characters" in page.error[0].value and not page.exception
    page.text_input(key="q").input("thank you").run()
    assert not page.error and texts(page)


def test_message_of_spaces_is_empty(page: AppTest):
    loaded(page)
    page.text_input(key="q").input("   ").run()
    assert page.info and not page.error and not page.exception


def broken(folder: Path) -> None:
    shutil.copytree(STARTER, folder)
    (folder / "vectors.faiss").write_bytes(b"not an index")


@pytest.mark.parametrize(
    ("make", "expected"),
    [(lambda folder: None, "No index at"), (broken, "truncated or changed")],
)
def test_invalid_bundle_shows_an_error_with_the_command_that_fixes_it(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make, expected: str
):
    make(tmp_path / "bundle")
    monkeypatch.setenv("REACTION_INDEX", str(tmp_path / "bundle"))
    loaded(page)
    assert expected in page.error[0].value and not page.exception
    assert "reaction-search build" in page.error[0].value
    monkeypatch.delenv("REACTION_INDEX")
    current_settings.cache_clear()
    loaded(page)
    assert not page.error


def test_hostile_title_is_shown_as_text_and_a_long_title_is_clipped(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from conftest import save_gif

    from retrieval.build.build import build_index
    from retrieval.encoders.open_clip import OpenClipEncoder

    folder = tmp_path / "hostile"
    titles = {"a.gif": "<script>alert(1)</script>", "b.gif": "x" * 10_000}
    for name, colour in zip(titles, [(255, 0, 0), (0, 0, 255)], strict=True):
        save_gif(folder / name, [colour])
    rows = [json.dumps({"file_name": n, "title": t}) for n, t in titles.items()]
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    build_index(folder, tmp_path / "bundle", OpenClipEncoder("mini"))
    monkeypatch.setenv("REACTION_INDEX", str(tmp_path / "bundle"))
    loaded(page)
    page.text_input(key="q").input("hello").run()
    assert "<script>alert(1)</script>" in texts(page)
    assert max(len(t.value) for t in page.text) < 200
    for key in ("why-", "more-"):
        next(b for b in page.button if b.key.startswith(key)).click().run()
        assert "<script>alert(1)</script>" in texts(page) and not page.exception
    assert not any("<script>" in m.value for m in page.markdown)
    page.switch_page("views/library.py").run()
    assert not page.exception


@pytest.mark.parametrize("name", ["library", "about"])
def test_other_pages_render_without_error(page: AppTest, name: str):
    loaded(page)
    page.switch_page(f"views/{name}.py").run()
    assert not page.exception and not page.error
    assert page.title[0].value


def test_page_is_available_in_korean(page: AppTest):
    page.query_params["lang"] = "ko"
    loaded(page)
    assert page.title[0].value == translate("ko", "title") != translate("en", "title")


def test_every_text_is_translated_into_every_language():
    for language in LANGUAGES:
        assert texts_in(language).keys() == texts_in("en").keys(), language
        assert all(text.strip() for text in texts_in(language).values()), language


HOSTILE = {
    "script.gif": "javascript://a.b/%0aalert(1)",
    "file.gif": "file:///etc/hostname",
    "data.gif": "data:image/gif;base64,R0lGODlh",
    "upwards.gif": "../../secret.gif",
    "system.gif": "/etc/hostname",
}


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle whose GIFs all have URLs that the page must not follow."""
    from conftest import save_gif

    from retrieval.build.build import build_index
    from retrieval.encoders.open_clip import OpenClipEncoder

    for number, name in enumerate(HOSTILE):
        save_gif(tmp_path / "gifs" / name, [(40 * number, 0, 0), (0, 0, 40 * number)])
    out = tmp_path / "bundle"
    build_index(tmp_path / "gifs", out, OpenClipEncoder("mini"), copy_media=True)
    records = read_catalog(out / "catalog.parquet")
    changed = [
        replace(r, uri=HOSTILE[f"{r.title}.gif"], source=HOSTILE["script.gif"], group=0)
        for r in records
    ]
    write_catalog(changed, out / "catalog.parquet")
    manifest = json.loads((out / "manifest.json").read_text())
    for name in ("media/" + name for name in HOSTILE):
        (out / name).unlink()
        del manifest["files"][name]
    size = (out / "catalog.parquet").stat().st_size
    manifest["files"]["catalog.parquet"]["bytes"] = size
    (out / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("REACTION_INDEX", str(out))
    return out


def test_gif_with_an_unsupported_url_scheme_is_shown_as_its_title(page: AppTest, hostile: Path):
    loaded(page)
    page.toggle(key="fold").set_value(False)
    page.text_input(key="q").input("hello").run()
    for play in (True, False):
        page.toggle(key="play").set_value(play).run()
        assert not page.exception and not page.error
        assert all(name.removesuffix(".gif") in texts(page) for name in HOSTILE)
        assert f"{len(HOSTILE)} GIFs cannot be shown" in page.warning[0].value
        assert "--copy-media" in page.warning[0].value
        assert not page.get("image") and not page.get("video")
    next(b for b in page.button if b.key.startswith("why-")).click().run()
    assert not page.exception and not page.get("link_button") and not page.get("download_button")
    assert not page.get("image")
    answer = TestClient(Starlette(routes=library_routes())).get("/api/v1/library").json()
    assert answer["missing"] == len(HOSTILE)


@pytest.mark.parametrize("make", [lambda folder: None, broken])
def test_error_on_the_page_omits_the_path_that_the_log_contains(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog, make
):
    folder = tmp_path / "home of a person" / "gifs"
    folder.parent.mkdir()
    make(folder)
    monkeypatch.setenv("REACTION_INDEX", str(folder))
    loaded(page)
    shown = page.error[0].value
    assert "gifs" in shown and "--out gifs" in shown and "home of a person" not in shown
    assert str(folder) in caplog.text


def test_local_checkpoint_is_shown_without_its_path(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    shutil.copytree(CHECKPOINTS / "mini", tmp_path / "mine")
    monkeypatch.setenv("REACTION_CHECKPOINT", f"local-dir:{tmp_path / 'mine'}")
    loaded(page)
    page.text_input(key="q").input("hello").run()
    assert "local-dir:mine" in texts(page) and str(tmp_path) not in texts(page)
    page.switch_page("views/about.py").run()
    assert "local-dir:mine" in texts(page) and str(tmp_path) not in texts(page)


def test_tracebacks_are_hidden_from_visitors():
    config = (ROOT / ".streamlit" / "config.toml").read_text()
    assert 'showErrorDetails = "type"' in config

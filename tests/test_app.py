"""Logic and states of the pages, with AppTest."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from retrieval.paths import ROOT
from retrieval.signals import Reactions
from retrieval.web import loader as loading
from retrieval.web.translations import LANGUAGES
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


@pytest.mark.parametrize("name", ["library", "about"])
def test_other_pages_render_without_error(page: AppTest, name: str):
    loaded(page)
    page.switch_page(f"views/{name}.py").run()
    assert not page.exception and not page.error
    assert (page.title or page.header)[0].value


def test_every_text_is_translated_into_every_language():
    for language in LANGUAGES:
        assert texts_in(language).keys() == texts_in("en").keys(), language
        assert all(text.strip() for text in texts_in(language).values()), language


def test_tracebacks_are_hidden_from_visitors():
    config = (ROOT / ".streamlit" / "config.toml").read_text()
    assert 'showErrorDetails = "type"' in config


def test_every_reaction_has_a_name_in_every_language():
    for language in LANGUAGES:
        names = [texts_in(language)[f"reaction_{name}"] for name in Reactions.load().categories]
        assert len({*names}) == 43

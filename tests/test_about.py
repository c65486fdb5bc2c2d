"""The about page: the card of what is loaded, with AppTest and in a browser."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from retrieval.encoders import CHECKPOINTS, Checkpoint, model_card
from retrieval.library import Bundle
from retrieval.paths import ROOT, STARTER
from retrieval.search import Searcher
from retrieval.web import checkpoint_card, library_card
from tests.support.browser import chromium, visit
from tests.support.server import serving
from tests.test_app import texts

# Boxes that stick out of the page to the right, and out of every box of the page that scrolls.
TOO_WIDE = """width => {
  const main = document.querySelector('[data-testid=stMain]');
  const right = element => element.getBoundingClientRect().right;
  const scrolls = box => getComputedStyle(box).overflowX !== 'visible' && right(box) <= width + 0.5;
  const isHeld = element => {
    for (let box = element.parentElement; box !== main; box = box.parentElement)
      if (scrolls(box)) return true;
    return false;
  };
  return [...main.querySelectorAll('*')]
    .filter(element => right(element) > width + 0.5 && !isHeld(element))
    .map(element => element.textContent.slice(0, 60));
}"""

CARD = """---
language: en
---
# My own checkpoint

![a photo](https://example.org/photo.png)
Trained in {folder}/runs. See [the paper](https://example.org/paper).
"""


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def about(page: AppTest) -> AppTest:
    page.run()
    page.switch_page("views/about.py").run()
    for _ in range(100):  # each waits half a second for the checkpoint
        if page.tabs:
            break
        page.run()
    assert not page.exception and not page.error
    return page


def card_of(page: AppTest) -> str:
    return "\n".join(element.value for element in page.markdown)


def test_what_is_loaded_comes_first_with_what_was_measured_of_it(page: AppTest):
    about(page)
    shown = texts(page)
    assert page.header[0].value == "What is loaded here"
    assert shown.startswith("the starter library\n267 GIFs\nCheckpoint mini: 256 dimensions")
    assert Bundle.open(STARTER).manifest.fingerprint in shown
    assert "Languages that the checkpoint reads: English" in shown
    assert "Frames: 82 % of GIFs are found by their own name (chance 0.8 %)." in shown
    assert "Signals: frames, words in the picture, names, reaction" in shown


def test_cards_are_minis_and_the_starter_librarys(page: AppTest):
    about(page)
    assert [tab.label for tab in page.tabs] == ["Model card of mini", "Data card"]
    assert "library_name" not in card_of(page)  # front matter
    assert "A small CLIP" in card_of(page) and "What this project's own data is" in card_of(page)


def test_checkpoint_of_ones_own_shows_its_own_card(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    folder = tmp_path / "mine"
    shutil.copytree(CHECKPOINTS / "mini", folder)
    (folder / "README.md").write_text(CARD.format(folder=folder))
    monkeypatch.setenv("REACTION_CHECKPOINT", f"local-dir:{folder}")
    about(page)
    assert "My own checkpoint" in card_of(page) and "A small CLIP" not in card_of(page)
    assert str(tmp_path) not in card_of(page) + texts(page)
    assert "photo.png" not in card_of(page)  # a visitor's browser asks nobody else
    assert "https://example.org/paper" in card_of(page)


def test_bundles_readme_is_its_data_card(tmp_path: Path, encoder):
    from conftest import save_gif

    from retrieval.build import build_index

    save_gif(tmp_path / "gifs" / "red.gif", [(255, 0, 0)])
    build_index(tmp_path / "gifs", tmp_path / "bundle", encoder)
    searcher = Searcher.open(tmp_path / "bundle", encoder)
    assert library_card(searcher).text == ""
    (tmp_path / "bundle" / "README.md").write_text("---\nlicense: mit\n---\n# My GIFs\n")
    assert library_card(searcher).text == "### My GIFs"


@pytest.mark.parametrize(
    "checkpoint, address",
    [
        ("siglip2", "https://huggingface.co/timm/ViT-B-32-SigLIP2-256"),
        ("ViT-B-32/laion2b_s34b_b79k", "https://huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B"),
        ("ViT-L-14/openai", "https://github.com/mlfoundations/open_clip"),
    ],
)
def test_card_of_a_checkpoint_elsewhere_is_its_address(checkpoint: str, address: str):
    card = model_card(Checkpoint.parse(checkpoint))
    assert card.text == "" and card.address.startswith(address)


def test_headings_of_a_card_stand_below_the_pages(encoder, tmp_path: Path, monkeypatch):
    (tmp_path / "README.md").write_text("# One\n```sh\n# a comment\n```\n##### Five\n")
    monkeypatch.setattr(encoder, "checkpoint", Checkpoint.of_folder(tmp_path))
    searcher = Searcher.__new__(Searcher)
    searcher.encoder = encoder
    expected = "### One\n```sh\n# a comment\n```\n###### Five"
    assert checkpoint_card(searcher).text == expected


def test_nothing_is_wider_than_the_screen():
    with serving() as server, chromium() as browser:
        for width in (390, 1280):
            for language in ("en", "ko"):
                address, name = f"{server.address}/about?lang={language}", f"about-{width}"
                with visit(browser, address, width, f"{name}-{language}") as page:
                    page.wait_for_selector("text=bc7a054f")
                    page.wait_for_selector("[data-testid=stMarkdownContainer] table")
                    for tab in page.get_by_role("tab").all():
                        tab.click()
                        main = page.locator("[data-testid=stMain]")
                        assert main.evaluate("main => main.scrollWidth") <= width
                        assert page.evaluate("document.documentElement.scrollWidth") <= width
                        assert page.evaluate(TOO_WIDE, width) == []

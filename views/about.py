"""The about page: the model, the data, how to cite, how to build one's own."""

from pathlib import Path

import streamlit as st

from retrieval.encoders import CHECKPOINTS
from retrieval.paths import ROOT
from views.common import library_name, searcher, visible, words

BUILD = """python scripts/build_index.py my-gifs/ --out index/mine --model siglip2
REACTION_INDEX=index/mine make app"""


def page() -> None:
    st.title(words("about_title"))
    st.write(words("about"))
    st.subheader(words("rebuild"))
    st.write(words("rebuild_help"))
    st.code(BUILD, language="sh")
    st.subheader(words("cite"))
    st.code((ROOT / "CITATION.cff").read_text(encoding="utf-8"), language="yaml")
    model, data = st.tabs([words("model_card_tab"), words("data_card_tab")])
    model.markdown(card(CHECKPOINTS / "mini" / "README.md"))
    data.markdown(card(ROOT / "data" / "README.md"))
    st.subheader(words("loaded"))
    found = searcher()
    st.text(f"{library_name(found)}: {len(found.collection.records):,} GIFs")
    st.text(
        f"{visible(found.encoder.label)}, dim {found.encoder.dim}, {found.encoder.fingerprint[:16]}"
    )


def card(path: Path) -> str:
    """A card's Markdown without its front matter."""
    text = path.read_text(encoding="utf-8")
    if text.startswith("---\n"):
        text = text.split("\n---\n", 1)[1]
    return text


page()

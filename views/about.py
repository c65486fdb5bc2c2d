"""The about page: model card, data card, citation, how to build your own index."""

import streamlit as st

from retrieval.encoders import CHECKPOINTS
from retrieval.hub import split_front_matter
from retrieval.paths import ROOT
from views.common import get_searcher, library_name, tr, visible

BUILD = """reaction-search build my-gifs/ --out index/mine --model siglip2
reaction-search serve --index index/mine"""


def page() -> None:
    st.title(tr("about_title"))
    st.write(tr("about"))
    st.subheader(tr("rebuild"))
    st.write(tr("rebuild_help"))
    st.code(BUILD, language="sh")
    st.subheader(tr("cite"))
    st.code((ROOT / "CITATION.cff").read_text(encoding="utf-8"), language="yaml")
    model, data = st.tabs([tr("model_card_tab"), tr("data_card_tab")])
    card = (CHECKPOINTS / "mini" / "README.md").read_text(encoding="utf-8")
    model.markdown(split_front_matter(card)[1])
    data.markdown((ROOT / "data" / "README.md").read_text(encoding="utf-8"))
    st.subheader(tr("loaded"))
    searcher = get_searcher()
    st.text(f"{library_name(searcher)}: {len(searcher.collection.records):,} GIFs")
    encoder = searcher.encoder
    st.text(f"{visible(encoder.label)}, dim {encoder.dim}, {encoder.fingerprint[:16]}")


page()

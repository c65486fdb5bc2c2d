"""The about page: the card of what is loaded, how to build your own index, citation."""

import streamlit as st

from retrieval.paths import ROOT
from retrieval.search import Searcher
from retrieval.web import Card, checkpoint_card, describe_loaded, library_card, loading
from views.common import get_searcher, library_name, page_settings, tr, visible

BUILD = """reaction-search build my-gifs/ --out index/mine --model siglip2
reaction-search serve --index index/mine"""
# Streamlit lets long words and the tables of a card widen the page; here they wrap or scroll.
NARROW = """<style>
[data-testid=stText] div { white-space: pre-wrap; overflow-wrap: anywhere; }
[data-testid=stMarkdownContainer] { overflow-wrap: anywhere; }
[data-testid=stMarkdownContainer] table { display: block; max-width: 100%; overflow-x: auto; }
[data-testid=stMarkdownContainer] :is(td, th) { overflow-wrap: normal; }
</style>"""


def page() -> None:
    st.html(NARROW)
    st.title(tr("about_title"))
    loaded = st.container()
    settings = page_settings()
    is_loaded = loading(settings.index, settings.checkpoint).searcher is not None
    if is_loaded:  # from top to bottom, so that nothing moves
        with loaded:
            render_loaded(get_searcher())
    st.write(tr("about"))
    st.header(tr("rebuild"))
    st.write(tr("rebuild_help"))
    st.code(BUILD, language="sh", wrap_lines=True)
    st.header(tr("cite"))
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    st.code(citation, language="yaml", wrap_lines=True)
    if not is_loaded:
        with loaded:  # last: the rest can be read while the checkpoint loads
            render_loaded(get_searcher())


def render_loaded(searcher: Searcher) -> None:
    """What is loaded and what was measured of it, and the cards of checkpoint and library."""
    st.header(tr("loaded"))
    with st.container(gap="xxsmall"):
        st.text(library_name(searcher))
        for line in describe_loaded(searcher):
            st.text(tr(line.key, **line.values))
    label = visible(searcher.encoder.label)
    model, data = st.tabs([tr("model_card_tab", checkpoint=label), tr("data_card_tab")])
    with model:
        render_card(checkpoint_card(searcher))
    with data:
        render_card(library_card(searcher))


def render_card(card: Card) -> None:
    if card.address:
        st.text(tr("card_at", address=card.address))
    if card.text:
        st.markdown(card.text)
    elif not card.address:
        st.text(tr("card_none"))


page()

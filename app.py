"""The page: type a message, or give a picture, and see the reactions that answer it."""

import time
from collections.abc import Sequence

import streamlit as st

from retrieval.errors import RetrievalError
from retrieval.search import MAX_MESSAGE_CHARS, Result, Searcher
from retrieval.settings import index_path

EXAMPLES = (
    "I'm so scared right now",
    "I got the job 🎉",
    "Congratulations on your graduation!",
    "Thank you so much for your help",
    "No idea what you're talking about",
    "This meeting is so boring",
)
CARD_WIDTH = 152  # pixels: two cards fit beside each other on a phone


def main() -> None:
    st.set_page_config(page_title="CLIP reaction search", page_icon="🎬", layout="wide")
    st.title("Search Reaction GIFs with CLIP")
    st.write("Type a message and get the animated reactions that answer it, found by their frames.")

    message, picture, top_k = ask()
    searcher = load()
    if not message and picture is None:
        st.info("Pick an example, type a message, or add a picture to react to.")
        st.stop()
    try:
        start = time.perf_counter()
        results = searcher.ask(message or None, image=picture, top_k=top_k)
        took_ms = 1000 * (time.perf_counter() - start)
    except RetrievalError as error:
        st.error(str(error))
        st.stop()
    st.caption(
        f"{len(results)} of {len(searcher.collection.records)} reactions in "
        f"{searcher.collection.name}, {took_ms:.0f} ms, {searcher.encoder.label}"
    )
    show(results)


def ask() -> tuple[str, bytes | None, int]:
    """What the person asks: a message (may be empty), a picture's bytes, how many answers."""
    st.pills("Examples", EXAMPLES, key="example", on_change=_take_example)
    message = st.text_input(
        "Write text you want to get reaction for",
        key="message",
        placeholder="I got the job 🎉",
        help=f"One message, up to {MAX_MESSAGE_CHARS:,} characters. Emoji count.",
    )
    with st.expander("React to a picture, or choose how many"):
        upload = st.file_uploader(
            "A picture to react to",
            help="JPG, PNG, WebP, GIF, MP4 or WebM. It stays in memory and is never written.",
        )
        top_k = st.slider("How many reactions", 4, 40, 12, step=4)
    return message.strip(), upload.getvalue() if upload else None, top_k


def _take_example() -> None:
    if st.session_state.example:
        st.session_state.message = st.session_state.example


def load() -> Searcher:
    """The searcher, loaded once a server; a page that says what is wrong if that fails."""
    try:
        return _searcher(str(index_path()))
    except RetrievalError as error:
        st.error(str(error))
        st.stop()


@st.cache_resource(show_spinner="Loading the checkpoint and the index …")
def _searcher(path: str) -> Searcher:
    return Searcher.open(path)


def show(results: Sequence[Result]) -> None:
    """The results as a grid of cards that wraps to the width of the window."""
    with st.container(horizontal=True):
        for result in results:
            with st.container(border=True, width=CARD_WIDTH):
                st.image(result.uri, width="stretch")
                st.text(f"{result.score:.2f}  {result.record.title}")


if __name__ == "__main__":
    main()

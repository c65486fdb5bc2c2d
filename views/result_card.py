"""A result as a card of the grid: the GIF, its score and title, and its buttons."""

from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import streamlit as st

from retrieval.search import Result, Searcher
from retrieval.web import Uploads
from views.common import clip_text, format_score, tr
from views.details import render_details
from views.media import gif_address, render_image, still_image, uploaded_bytes

CARD_WIDTH = 164  # pixels: two cards fit side by side on a phone


def render_card(result: Result, searcher: Searcher, play: bool, question: str) -> None:
    """Render one result. `question` is passed on to the details, for votes."""
    record = result.record
    with st.container(border=True, width=CARD_WIDTH):
        playing = play or record.id == st.session_state.get("playing")
        is_shown = _render_picture(result, searcher, playing)
        score = float(np.clip(result.score, 0, 1))
        st.progress(score, text=format_score(result))
        if is_shown:
            st.text(clip_text(record.title))
        if result.folded:
            st.caption(tr("stands_for", n=len(result.folded)))
        with st.container(horizontal=True):
            if not playing and record.n_frames > 1:
                st.button(tr("play_one"), key=f"play-{record.id}", type="tertiary",
                          on_click=st.session_state.update,
                          args=({"playing": record.id},))  # fmt: skip
            if st.button(tr("why"), key=f"why-{record.id}", type="tertiary"):
                dialog = st.dialog(tr("why_title"), width="large")
                dialog(render_details)(result, searcher, question)
            if not isinstance(searcher.collection, Uploads):
                st.button(tr("more"), key=f"more-{record.id}", type="tertiary",
                          on_click=st.query_params.update,
                          args=({"like": record.id[:16]},))  # fmt: skip


def _render_picture(result: Result, searcher: Searcher, playing: bool) -> bool:
    """Render the animation, or the still of its best frame, or its title if neither is servable.

    Returns whether a picture was rendered.
    """
    record = result.record
    alt = clip_text(record.title)
    data = uploaded_bytes(record, searcher)
    shown: bytes | str | None
    if playing:
        shown = data or gif_address(record, searcher)
        suffix = Path(urlsplit(shown).path if isinstance(shown, str) else record.uri).suffix
    else:
        shown, suffix = still_image(record, result.best_frame, searcher), ".png"
    if shown is not None and suffix.lower() in (".mp4", ".webm"):
        st.video(shown, autoplay=True, loop=True, muted=True)
    else:
        render_image(shown, alt)
    return shown is not None

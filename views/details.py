"""The "Why?" dialog of a result: signals, words, frame scores, vote, metadata, download."""

import logging
from pathlib import Path

import streamlit as st

from retrieval.errors import RetrievalError
from retrieval.library import Record, is_web_address
from retrieval.media import PictureText
from retrieval.search import RECOGNISED, Result, Searcher
from retrieval.web import Vote, save_vote, timestamp
from views.common import clip_text, page_settings, reaction_name, tr, visible
from views.media import (
    gif_address,
    media_of,
    render_image,
    render_words,
    still_image,
    uploaded_bytes,
)

STRIP_WIDTH, SHARE_WIDTH = 72, 150  # pixels
LONG_TITLE_CHARS = 1_000


def render_details(result: Result, searcher: Searcher, question: str) -> None:
    """Render the dialog. `question` is what a vote stores; empty if votes are not collected."""
    record = result.record
    st.text(clip_text(record.title, LONG_TITLE_CHARS))
    if result.signals:
        _render_signals(result)
    if result.words:
        _render_words(result, result.words, searcher)
    st.text(tr("best_frame", n=result.best_frame, s=result.best_frame_ms / 1000))
    _render_frames(result, searcher)
    if question:
        with st.container(border=True):
            _ask_vote(result, searcher, question)
    for label, value in (
        ("tags", ", ".join(record.tags)),
        ("license", record.license),
        ("attribution", record.attribution),
    ):
        st.text(f"{tr(label)}: {value or tr('unknown')}")
    if is_web_address(record.source):
        st.link_button(tr("from"), record.source)
    if result.folded:
        st.text(tr("same"))
        for other in result.folded:
            st.text(f"· {clip_text(other.title)}")
    _render_download(record, searcher)


def _render_signals(result: Result) -> None:
    """What the message calls for, and each signal's share in what speaks for the GIF."""
    likely = [(p, name) for name, p in result.reactions.items() if p >= RECOGNISED]
    if likely:
        names = [f"{reaction_name(name)} ({p:.0%})" for p, name in sorted(likely, reverse=True)]
        expressed = result.signals.get("reaction", 0) > 0
        st.text(tr("recognised", reactions=" · ".join(names)))
        st.text(tr("expresses" if expressed else "expresses_not"))
    st.text(tr("shares"))
    with st.container(horizontal=True):
        for name, share in result.shares.items():
            with st.container(width=SHARE_WIDTH):
                st.progress(share, text=f"{tr(f'signal_{name}')}: {share:.0%}")


def _render_words(result: Result, words: PictureText, searcher: Searcher) -> None:
    """The words that answer the message best, and the frame in which they stand."""
    text = clip_text(words.text, LONG_TITLE_CHARS)
    percent = f"{words.confidence:.0%}".rstrip("%")
    st.text(tr("words_read", text=text, n=words.frame, s=words.time_ms / 1000, percent=percent))
    render_words(result.record, words, searcher)


def _render_frames(result: Result, searcher: Searcher) -> None:
    """The embedded frames in a strip, each with its score; the best one's is bold."""
    with st.container(horizontal=True):
        for frame in result.frames:
            with st.container(width=STRIP_WIDTH):
                image = still_image(result.record, frame.index, searcher)
                render_image(image, f"{frame.time_ms / 1000:.1f} s")
                best = frame.index == result.best_frame
                st.caption(f"**{frame.score:.2f}**" if best else f"{frame.score:.2f}")


def _ask_vote(result: Result, searcher: Searcher, question: str) -> None:
    """Ask whether the GIF fits and store the answer; another answer replaces it."""
    record = result.record
    votes: dict[tuple[str, str], Vote] = st.session_state.setdefault("votes", {})
    given = votes.get((question, record.id))
    fits = st.segmented_control(
        tr("fits"),
        [True, False],
        default=given.fits if given else None,
        required=True,
        format_func={
            True: f":material/thumb_up: {tr('fits_yes')}",
            False: f":material/thumb_down: {tr('fits_no')}",
        }.__getitem__,
        key=f"fits-{record.id}",
    )
    st.caption(tr("fits_kept"))
    st.text(clip_text(question, LONG_TITLE_CHARS))
    if fits is None or (given and fits == given.fits):
        return
    vote = Vote(
        when=given.when if given else timestamp(),
        message=question,
        gif_id=record.id,
        title=record.title,
        rank=result.rank,
        score=round(result.score, 6),
        fits=fits,
        fingerprint=searcher.encoder.fingerprint,
        bundle=searcher.collection.name,
        pooling=searcher.collection.pooling,
    )
    try:
        save_vote(page_settings().data, vote)
    except RetrievalError as error:
        logging.getLogger(__name__).error("%s", error)
        st.error(visible(error))
        return
    votes[question, record.id] = vote


def _render_download(record: Record, searcher: Searcher) -> None:
    """The file to download; for a GIF on the web, its link and Markdown."""
    st.subheader(tr("take"))
    data = uploaded_bytes(record, searcher)
    file = media_of(record, searcher)  # None for an uploaded one
    content = file.path.read_bytes() if file else data
    if content:
        st.download_button(
            tr("download"),
            content,
            file_name=Path(record.uri).name,
            icon=":material/download:",
            on_click="ignore",
        )
    address = None if data else gif_address(record, searcher)
    if address and is_web_address(address):
        title = clip_text(record.title).replace("[", "(").replace("]", ")")
        st.caption(tr("link"))
        st.code(address, language=None)
        st.caption(tr("markdown"))
        st.code(f"![{title}]({address})", language=None)

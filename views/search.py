"""The search page: ask a question, show the ranked GIFs."""

import time

import streamlit as st

from retrieval.errors import RetrievalError
from retrieval.media import Stop
from retrieval.search import Filter, Query, Result, Searcher
from retrieval.web import Uploads, read_uploads
from views.common import (
    TITLE_CHARS,
    clip_text,
    get_searcher,
    kept_work,
    library_choices,
    library_name,
    page_settings,
    tr,
    visible,
)
from views.media import gif_address
from views.question import (
    PICTURES,
    ask_message,
    ask_other_ways,
    ask_reactions,
    describe_question,
    forget_like,
    understand_question,
)
from views.result_card import render_card


def page() -> None:
    render_introduction()
    message = ask_message()
    below_message = st.container()
    with st.container(horizontal=True):
        question = ask_other_ways(message)
        keep, top_k, fold = ask_filters()
    files = ask_uploads()
    searcher = get_searcher()
    if files:
        searcher = Searcher(embed_uploads(files, searcher), searcher.encoder)
    else:
        st.session_state.pop("uploads", None)
    like = st.query_params.get("like")
    if question.is_empty and not like:
        st.info(tr("start"))
        return
    if files:
        like = None
    try:
        start = time.perf_counter()
        query = Query(searcher.like(like)) if like else understand_question(question, searcher)
        took_s = time.perf_counter() - start
        with below_message:
            query = ask_reactions(query, question)
        start = time.perf_counter()
        results = searcher.search(query, top_k, fold=fold, keep=keep)
        took_s += time.perf_counter() - start
    except RetrievalError as error:
        st.error(visible(error))
        return
    if like:
        render_more_like(searcher, like)
    description = "" if files else describe_question(question, searcher, like)
    votable = description if page_settings().feedback else ""
    render_results(results, searcher, query, took_s, votable)
    if not results:
        st.info(explain_nothing(query, keep, searcher))


def render_introduction() -> None:
    """Title, one sentence, and the motivation."""
    st.title(tr("title"))
    st.write(tr("sentence"))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link("views/about.py", label=tr("model_card"), icon=":material/info:")
        with st.popover(tr("motivation_title"), type="tertiary"):
            st.write(tr("motivation"))


def ask_filters() -> tuple[Filter, int, bool]:
    """The filter, the number of results, and whether near-duplicates are folded."""
    with st.popover(tr("narrow"), icon=":material/filter_alt:"):
        top_k = st.slider(
            tr("how_many"), 4, 60, 12, key="k", bind="query-params", help=tr("how_many_help")
        )
        min_score = st.slider(
            tr("min_score"), 0.0, 1.0, 0.0, 0.05, key="min", bind="query-params",
            help=tr("min_score_help"),
        )  # fmt: skip
        choices = library_choices()
        tags, licenses, sources = (
            frozenset(st.multiselect(tr(name), choices[name], help=tr(f"{name}_help")))
            for name in ("tags", "licenses", "sources")
        )
        animated = st.toggle(tr("animated_only"), help=tr("animated_only_help"))
        fold = st.toggle(tr("fold"), True, key="fold", bind="query-params", help=tr("fold_help"))
    return Filter(tags, licenses, sources, animated, min_score or None), top_k, fold


def ask_uploads() -> list[tuple[str, bytes]]:
    """The visitor's own files (name, bytes), to be ranked instead of the library."""
    settings = page_settings()
    help = tr("rank_mine_help", n=settings.max_files, mb=settings.max_total_mb)
    with st.expander(tr("rank_mine"), icon=":material/upload:"):
        files = st.file_uploader(
            tr("rank_mine"),
            type=PICTURES,
            accept_multiple_files=True,
            key="mine",
            help=help,
            label_visibility="collapsed",
        )
        st.caption(help)
    return [(file.name, file.getvalue()) for file in files]


def embed_uploads(files: list[tuple[str, bytes]], searcher: Searcher) -> Uploads:
    """Embed the uploaded files; the session keeps the result until the files change."""
    settings = page_settings()
    key = [(name, len(data), hash(data)) for name, data in files]
    n_done = 0

    def progress(done: int, total: int | None) -> None:
        nonlocal n_done
        n_done = done

    def read(stop: Stop) -> Uploads:
        return read_uploads(
            files,
            searcher.encoder,
            progress,
            max_files=settings.max_files,
            max_total_mb=settings.max_total_mb,
            stop=stop,
        )

    try:
        uploads = kept_work("uploads", key, read, lambda: n_done / len(files))
    except RetrievalError as error:
        st.error(visible(error))
        st.stop()
    if uploads.skipped:
        with st.expander(tr("unread", n=len(uploads.skipped)), expanded=True):
            for skipped in uploads.skipped:
                st.text(f"{skipped.path[:TITLE_CHARS]}: {skipped.reason}")
    return uploads


def render_more_like(searcher: Searcher, like: str) -> None:
    """Which GIF the results resemble, and the way back to the message."""
    title = searcher.record(like).title
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(tr("more_like", title=clip_text(title)))
        st.button(tr("clear"), on_click=forget_like)


def render_results(
    results: list[Result], searcher: Searcher, query: Query, took_s: float, question: str
) -> None:
    """A line about the search, then the results as a grid that wraps to the window.

    `question` is the question as text if visitors may vote on its results, otherwise empty.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(
            tr(
                "searched",
                shown=len(results),
                total=len(searcher.collection.records),
                where=library_name(searcher),
                ms=f"{1000 * took_s:.0f}",
                encoder=visible(searcher.encoder.label),
                by=describe_signals(query, searcher),
            )
        )
        play = st.toggle(tr("play"), True, key="play", bind="query-params", help=tr("play_help"))
    if results and question:
        st.caption(tr("fits_where"))
    if not isinstance(searcher.collection, Uploads):
        n_missing = sum(gif_address(result.record, searcher) is None for result in results)
        if n_missing:
            st.warning(tr("not_shown", n=n_missing))
    with st.container(horizontal=True):
        for result in results:
            render_card(result, searcher, play, question)


def describe_signals(query: Query, searcher: Searcher) -> str:
    """By which signals GIFs were ranked."""
    signals = ("frames",) if query.answers is None else searcher.signals
    return tr("ranked_by", signals=", ".join(tr(f"signal_{name}") for name in signals))


def explain_nothing(query: Query, keep: Filter, searcher: Searcher) -> str:
    """Why there are no results, and what to change."""
    missing = searcher.missing_phrases(query)
    if missing:
        return tr("nothing_says", phrase=clip_text(missing[0]))
    if query.message and (query.message.required or query.message.excluded):
        return tr("nothing_together")
    if keep.min_score:
        return tr("nothing", min_score=keep.min_score)
    return tr("nothing_filtered")


page()

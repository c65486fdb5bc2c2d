"""The search page: ask in any form, read the answers, take one."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import streamlit as st

from retrieval.errors import RetrievalError
from retrieval.library import Record, is_web_address
from retrieval.media import Stop
from retrieval.search import Filter, Result, Searcher, Term, chat_terms, check_message
from retrieval.web import Uploads, Vote, embed_upload, in_words, keep_vote, now, read_uploads
from views.common import (
    gif_address,
    library_choices,
    library_name,
    media_of,
    searcher,
    settings,
    still_address,
    visible,
    while_watched,
    words,
)

EXAMPLES = (  # the original demo's, word for word
    "OMG that is disgusting",
    "I'm so scared right now",
    "I got the job 🎉",
    "Congratulations to all the flax-community week teams",
    "You're awesome",
    "I love you ❤️",
)
PICTURES = ["jpg", "jpeg", "png", "webp", "gif", "mp4", "webm"]
CARD_WIDTH = 164  # pixels: two cards fit beside each other on a phone
STRIP_WIDTH = 72
TITLE_CHARS, LONG_TITLE_CHARS = 60, 1_000


@dataclass(frozen=True)
class Question:
    """What a person asks, as the widgets have it."""

    message: str
    chat: str
    negative: str
    negative_weight: float
    picture: bytes | None
    picture_weight: float

    @property
    def is_empty(self) -> bool:
        return not (self.message or self.chat or self.picture)


def page() -> None:
    introduce()
    message = ask()
    with st.container(horizontal=True):
        question = ask_otherwise(message)
        keep, top_k, fold = narrow()
    files = rank_mine()
    found = searcher()
    if files:
        found = Searcher(uploads(files, found), found.encoder)
    else:
        st.session_state.pop("uploads", None)
    like = st.query_params.get("like")
    if question.is_empty and not like:
        st.info(words("start"))
        return
    try:
        start = time.perf_counter()
        query = found.like(like) if like and not files else embed(question, found)
        results = found.search(query, top_k, fold=fold, keep=keep)
        took_ms = 1000 * (time.perf_counter() - start)
    except RetrievalError as error:
        st.error(visible(error))
        return
    if like and not files:
        say_more_like(found, like)
    asked = "" if files else asked_in_words(question, found, like)
    show(results, found, took_ms, keep, asked if settings().feedback else "")


def introduce() -> None:
    """Title, one sentence, and why this exists."""
    st.title(words("title"))
    st.write(words("sentence"))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link("views/about.py", label=words("model_card"), icon=":material/info:")
        with st.popover(words("motivation_title"), type="tertiary"):
            st.write(words("motivation"))


def ask() -> str:
    """The examples and the message box; the message."""
    st.pills(
        words("examples"),
        EXAMPLES,
        key="example",
        on_change=_take_example,
        help=words("examples_help"),
    )
    message = st.text_input(
        words("message"),
        key="q",
        bind="query-params",
        placeholder=EXAMPLES[2],
        help=words("message_help"),
        on_change=_typed,
    )
    return message.strip()


def ask_otherwise(message: str) -> Question:
    """What else a person can ask with, beside the message."""
    with st.popover(words("other_ways"), icon=":material/tune:"):
        negative = st.text_input(
            words("not"), key="not", bind="query-params", help=words("not_help")
        )
        negative_weight = st.slider(
            words("not_weight"), 0.0, 1.0, 0.5, 0.1, key="not_weight", bind="query-params",
            help=words("not_weight_help"),
        )  # fmt: skip
        chat = st.text_area(words("chat"), key="chat", help=words("chat_help"))
        upload = st.file_uploader(words("picture"), type=PICTURES, help=words("picture_help"))
        picture_weight = st.slider(
            words("picture_weight"), 0.1, 3.0, 1.0, 0.1, help=words("picture_weight_help")
        )
    return Question(
        message,
        chat.strip(),
        negative.strip(),
        negative_weight,
        upload.getvalue() if upload else None,
        picture_weight,
    )


def _take_example() -> None:
    if st.session_state.example:
        st.session_state.q = st.session_state.example
        _forget_like()


def _typed() -> None:
    st.session_state.example = None
    _forget_like()


def _forget_like() -> None:
    st.query_params.pop("like", None)


def narrow() -> tuple[Filter, int, bool]:
    """What the answers must be, how many, and whether look-alikes are folded."""
    with st.popover(words("narrow"), icon=":material/filter_alt:"):
        top_k = st.slider(
            words("how_many"), 4, 60, 12, key="k", bind="query-params", help=words("how_many_help")
        )
        min_score = st.slider(
            words("min_score"), -1.0, 1.0, -1.0, 0.05, key="min", bind="query-params",
            help=words("min_score_help"),
        )  # fmt: skip
        choices = library_choices()
        tags, licenses, sources = (
            frozenset(st.multiselect(words(name), choices[name], help=words(f"{name}_help")))
            for name in ("tags", "licenses", "sources")
        )
        animated = st.toggle(words("animated_only"), help=words("animated_only_help"))
        fold = st.toggle(
            words("fold"), True, key="fold", bind="query-params", help=words("fold_help")
        )
    return Filter(tags, licenses, sources, animated, min_score), top_k, fold


def rank_mine() -> list[tuple[str, bytes]]:
    """The person's own files, to be ranked instead of the library."""
    asked = settings()
    help = words("rank_mine_help", n=asked.max_files, mb=asked.max_total_mb)
    with st.expander(words("rank_mine"), icon=":material/upload:"):
        files = st.file_uploader(
            words("rank_mine"),
            type=PICTURES,
            accept_multiple_files=True,
            key="mine",
            help=help,
            label_visibility="collapsed",
        )
        st.caption(help)
    return [(file.name, file.getvalue()) for file in files]


def uploads(files: list[tuple[str, bytes]], found: Searcher) -> Uploads:
    """The files embedded, once for as long as they stay the same."""
    key = [(name, len(data), hash(data)) for name, data in files]
    kept = st.session_state.get("uploads")
    if kept is None or kept[0] != key:
        asked = settings()
        text = words("reading_pictures")
        bar = st.progress(0.0, text=text)
        n_done = 0

        def progress(done: int, total: int | None) -> None:
            nonlocal n_done
            n_done = done

        def read(stop: Stop) -> Uploads:
            return read_uploads(
                files,
                found.encoder,
                progress,
                max_files=asked.max_files,
                max_total_mb=asked.max_total_mb,
                stop=stop,
            )

        try:
            collection = while_watched(read, lambda: bar.progress(n_done / len(files), text=text))
        except RetrievalError as error:
            bar.empty()
            st.error(visible(error))
            st.stop()
        bar.empty()
        kept = st.session_state.uploads = (key, collection)
    collection = kept[1]
    if collection.skipped:
        with st.expander(words("unread", n=len(collection.skipped)), expanded=True):
            for skipped in collection.skipped:
                st.text(f"{skipped.path[:TITLE_CHARS]}: {skipped.reason}")
    return collection


def embed(question: Question, found: Searcher) -> np.ndarray:
    """The question as one unit vector."""
    terms = []
    if question.message:
        check_message(question.message)
        terms.append(Term(question.message))
    terms += chat_terms(question.chat)
    if question.picture:
        terms.append(Term(embedded(question.picture, found), question.picture_weight))
    if question.negative and question.negative_weight:
        terms.append(Term(question.negative, -question.negative_weight))
    return found.embed(terms)


def embedded(picture: bytes, found: Searcher) -> np.ndarray:
    """The uploaded picture's vector, made once for as long as it stays the same."""
    key = (hash(picture), len(picture), found.encoder.fingerprint)
    kept = st.session_state.get("picture")
    if kept is None or kept[0] != key:
        place, text = st.empty(), words("reading_pictures")
        vector = while_watched(
            lambda stop: embed_upload(picture, found, stop),
            lambda: place.progress(0.0, text=text),
        )
        place.empty()
        kept = st.session_state.picture = (key, vector)
    return np.asarray(kept[1])


def asked_in_words(question: Question, found: Searcher, like: str | None) -> str:
    """The question as a vote on its answers keeps it."""
    if like:
        return in_words(like=found.record(like).title)
    chat = [str(term.content) for term in chat_terms(question.chat)]
    return in_words(
        [*([question.message] if question.message else []), *chat],
        negative=question.negative if question.negative_weight else "",
        picture=question.picture is not None,
    )


def say_more_like(found: Searcher, like: str) -> None:
    title = found.record(like).title
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(words("more_like", title=clipped(title)))
        st.button(words("clear"), on_click=_forget_like)


def show(results: list[Result], found: Searcher, took_ms: float, keep: Filter, asked: str) -> None:
    """What was searched, then the results as a grid that wraps to the window.

    `asked` is the question in words if people may vote on its answers, empty otherwise.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(
            words(
                "searched",
                shown=len(results),
                total=len(found.collection.records),
                where=library_name(found),
                ms=f"{took_ms:.0f}",
                encoder=visible(found.encoder.label),
            )
        )
        play = st.toggle(
            words("play"), True, key="play", bind="query-params", help=words("play_help")
        )
    if not results:
        low = keep.min_score is not None and keep.min_score > -1
        st.info(words("nothing", min_score=keep.min_score) if low else words("nothing_filtered"))
    elif asked:
        st.caption(words("fits_where"))
    if not isinstance(found.collection, Uploads):
        n_away = sum(gif_address(result.record, found) is None for result in results)
        if n_away:
            st.warning(words("not_shown", n=n_away))
    with st.container(horizontal=True):
        for result in results:
            card(result, found, play, asked)


def card(result: Result, found: Searcher, play: bool, asked: str) -> None:
    """One result: the animation (or its best frame), score, title, and what to do with it."""
    record = result.record
    with st.container(border=True, width=CARD_WIDTH):
        playing = play or record.id == st.session_state.get("playing")
        is_shown = picture(result, found, playing)
        score = float(np.clip(result.score, 0, 1))
        st.progress(score, text=f"{result.score:.2f}")
        if is_shown:
            st.text(clipped(record.title))
        if result.folded:
            st.caption(words("stands_for", n=len(result.folded)))
        with st.container(horizontal=True):
            if not playing and record.n_frames > 1:
                st.button(words("play_one"), key=f"play-{record.id}", type="tertiary",
                          on_click=_play, args=(record.id,))  # fmt: skip
            if st.button(words("why"), key=f"why-{record.id}", type="tertiary"):
                st.dialog(words("why_title"), width="large")(details)(result, found, asked)
            if not isinstance(found.collection, Uploads):
                st.button(words("more"), key=f"more-{record.id}", type="tertiary",
                          on_click=_more_like, args=(record.id,))  # fmt: skip


def _play(gif_id: str) -> None:
    st.session_state.playing = gif_id


def _more_like(gif_id: str) -> None:
    st.query_params["like"] = gif_id[:16]


def picture(result: Result, found: Searcher, playing: bool) -> bool:
    """The moving GIF, or the still of its best frame; its title if it cannot be shown.

    Returns whether it can.
    """
    record = result.record
    alt = clipped(record.title)
    data = uploaded(record, found)
    shown: bytes | str | None
    if playing:
        shown = data or gif_address(record, found)
        kind = Path(urlsplit(shown).path if isinstance(shown, str) else record.uri).suffix
    else:
        shown, kind = still(record, result.best_frame, found), ".png"
    if shown is None:
        st.text(alt)
    elif kind.lower() in (".mp4", ".webm"):
        st.video(shown, autoplay=True, loop=True, muted=True)
    else:
        st.image(shown, alt=alt, width="stretch")
    return shown is not None


def uploaded(record: Record, found: Searcher) -> bytes | None:
    collection = found.collection
    return collection.data[record.id] if isinstance(collection, Uploads) else None


def still(record: Record, frame: int, found: Searcher) -> bytes | str | None:
    """One frame as st.image takes it, an address or the PNG; None if it cannot be shown."""
    collection = found.collection
    try:
        if not isinstance(collection, Uploads):
            return still_address(record, frame, found)
        place = st.empty()
        return while_watched(lambda stop: collection.still(record, frame, stop), place.empty)
    except RetrievalError:
        return None


def details(result: Result, found: Searcher, asked: str) -> None:
    """Why this one, whether it fits, what is known of it, and how to take it."""
    record = result.record
    st.text(clipped(record.title, LONG_TITLE_CHARS))
    st.text(words("best_frame", n=result.best_frame, s=result.best_frame_ms / 1000))
    with st.container(horizontal=True):
        for frame in result.frames:
            with st.container(width=STRIP_WIDTH):
                time_s = f"{frame.time_ms / 1000:.1f} s"
                shown = still(record, frame.index, found)
                if shown is None:
                    st.text(time_s)
                else:
                    st.image(shown, alt=time_s, width="stretch")
                best = frame.index == result.best_frame
                st.caption(f"**{frame.score:.2f}**" if best else f"{frame.score:.2f}")
    if asked:
        with st.container(border=True):
            vote(result, found, asked)
    for label, value in (
        ("tags", ", ".join(record.tags)),
        ("license", record.license),
        ("attribution", record.attribution),
    ):
        st.text(f"{words(label)}: {value or words('unknown')}")
    if is_web_address(record.source):
        st.link_button(words("from"), record.source)
    if result.folded:
        st.text(words("same"))
        for other in result.folded:
            st.text(f"· {clipped(other.title)}")
    take(record, found)


def vote(result: Result, found: Searcher, asked: str) -> None:
    """Whether it fits: asked, kept, and shown as kept; pressing the other changes one's mind."""
    record = result.record
    votes: dict[tuple[str, str], Vote] = st.session_state.setdefault("votes", {})
    given = votes.get((asked, record.id))
    fits = st.segmented_control(
        words("fits"),
        [True, False],
        default=given.fits if given else None,
        required=True,
        format_func={
            True: f":material/thumb_up: {words('fits_yes')}",
            False: f":material/thumb_down: {words('fits_no')}",
        }.__getitem__,
        key=f"fits-{record.id}",
    )
    st.caption(words("fits_kept"))
    st.text(clipped(asked, LONG_TITLE_CHARS))
    if fits is None or (given and fits == given.fits):
        return
    answer = Vote(
        when=given.when if given else now(),
        message=asked,
        gif_id=record.id,
        title=record.title,
        rank=result.rank,
        score=round(result.score, 6),
        fits=fits,
        fingerprint=found.encoder.fingerprint,
        bundle=found.collection.name,
        pooling=found.collection.pooling,
    )
    try:
        keep_vote(settings().data, answer)
    except RetrievalError as error:
        logging.getLogger(__name__).error("%s", error)
        st.error(visible(error))
        return
    votes[asked, record.id] = answer


def take(record: Record, found: Searcher) -> None:
    """Download, link, Markdown."""
    st.subheader(words("take"))
    data = uploaded(record, found)
    file = media_of(record, found)
    if data or file:
        st.download_button(
            words("download"),
            data or (file.path.read_bytes() if file else b""),
            file_name=Path(record.uri).name,
            icon=":material/download:",
            on_click="ignore",
        )
    address = None if data else gif_address(record, found)
    if address and is_web_address(address):
        title = clipped(record.title).replace("[", "(").replace("]", ")")
        st.caption(words("link"))
        st.code(address, language=None)
        st.caption(words("markdown"))
        st.code(f"![{title}]({address})", language=None)


def clipped(text: str, chars: int = TITLE_CHARS) -> str:
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


page()

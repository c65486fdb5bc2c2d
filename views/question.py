"""What a visitor asks: the widgets of the form, and the query that they make."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from retrieval.search import Query, Searcher, Term, chat_terms
from retrieval.signals import Reactions
from retrieval.web import EXAMPLES, embed_upload, question_as_text
from views.common import kept_work, reaction_name, tr

MAX_CHIPS = 4  # reactions that are offered to be turned off
ONLY_WIDTH = 220  # pixels
PICTURES = ["jpg", "jpeg", "png", "webp", "gif", "mp4", "webm"]


@dataclass(frozen=True)
class Question:
    """The values of the form's widgets."""

    message: str
    chat: str
    negative: str
    negative_weight: float
    picture: bytes | None
    picture_weight: float

    @property
    def is_empty(self) -> bool:
        return not (self.message or self.chat or self.picture)


def ask_message() -> str:
    """The example queries and the message box; returns the message."""
    st.pills(
        tr("examples"), EXAMPLES, key="example", on_change=_take_example, help=tr("examples_help")
    )
    message = st.text_input(
        tr("message"),
        key="q",
        bind="query-params",
        placeholder=EXAMPLES[2],
        help=tr("message_help"),
        on_change=_forget_example,
    )
    return message.strip()


def ask_other_ways(message: str) -> Question:
    """The rest of the question: a negative text, a chat, a picture, and their weights."""
    with st.popover(tr("other_ways"), icon=":material/tune:"):
        negative = st.text_input(tr("not"), key="not", bind="query-params", help=tr("not_help"))
        negative_weight = st.slider(
            tr("not_weight"), 0.0, 1.0, 0.5, 0.1, key="not_weight", bind="query-params",
            help=tr("not_weight_help"),
        )  # fmt: skip
        chat = st.text_area(tr("chat"), key="chat", help=tr("chat_help"))
        upload = st.file_uploader(tr("picture"), type=PICTURES, help=tr("picture_help"))
        picture_weight = st.slider(
            tr("picture_weight"), 0.1, 3.0, 1.0, 0.1, help=tr("picture_weight_help")
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
        forget_like()


def _forget_example() -> None:
    st.session_state.example = None
    forget_like()


def forget_like() -> None:
    """Leave "More like this"."""
    st.query_params.pop("like", None)


def understand_question(question: Question, searcher: Searcher) -> Query:
    """The query as every signal of the library understands it."""
    terms = []
    if question.message:
        terms.append(Term(question.message))
    terms += chat_terms(question.chat)
    if question.picture:
        terms.append(Term(_embed_picture(question.picture, searcher), question.picture_weight))
    if question.negative and question.negative_weight:
        terms.append(Term(question.negative, -question.negative_weight))
    return searcher.understand(terms)


def ask_reactions(query: Query, question: Question) -> Query:
    """Show which reactions the message calls for; returns the query for those left on.

    Another message starts with all of them on. Shows nothing if reactions do not count.
    """
    if query.reactions is None:
        return query
    recognised = list(query.called_for())[:MAX_CHIPS]
    message = hash((question.message, question.chat))
    only_key = f"only-{message}"
    with st.container(horizontal=True):
        left = st.pills(
            tr("calls_for"),
            recognised,
            selection_mode="multi",
            default=recognised,
            format_func=reaction_name,
            key=f"calls-{message}",
            help=tr("calls_for_help"),
            disabled=bool(st.session_state.get(only_key)),
        )
        if not recognised:
            st.text(tr("no_reaction"))
        only = st.selectbox(
            tr("only_reaction"),
            sorted(Reactions.load().categories, key=reaction_name),
            index=None,
            format_func=reaction_name,
            placeholder=tr("only_reaction_any"),
            key=only_key,
            help=tr("only_reaction_help"),
            width=ONLY_WIDTH,
        )
    if only:
        return query.with_reactions(insisted=[only])
    return query.with_reactions(removed=[name for name in recognised if name not in left])


def _embed_picture(picture: bytes, searcher: Searcher) -> np.ndarray:
    """Embed the uploaded picture; the session keeps the vector until the picture changes."""
    key = (hash(picture), len(picture), searcher.encoder.fingerprint)
    return kept_work("picture", key, lambda stop: embed_upload(picture, searcher, stop))


def describe_question(question: Question, searcher: Searcher, like: str | None) -> str:
    """The question as text, as a vote on its results stores it."""
    if like:
        return question_as_text(like=searcher.record(like).title)
    chat = [str(term.content) for term in chat_terms(question.chat)]
    return question_as_text(
        [*([question.message] if question.message else []), *chat],
        negative=question.negative if question.negative_weight else "",
        picture=question.picture is not None,
    )

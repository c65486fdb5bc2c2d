"""What the pages share: language, settings, the searcher, text that visitors may read."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import streamlit as st

from retrieval.errors import BundleError, RetrievalError, SettingsError
from retrieval.media import Stop
from retrieval.paths import STARTER
from retrieval.search import Result, Searcher
from retrieval.web import (
    LANGUAGES,
    Job,
    Loading,
    Settings,
    current_settings,
    filter_choices,
    loading,
    translate,
    visible,
)

DRAW_EVERY_S = 0.25
TITLE_CHARS = 60

T = TypeVar("T")


def tr(key: str, **values: object) -> str:
    """A text of the page in the visitor's language."""
    language = st.session_state.get("lang", "en")
    return translate(language if language in LANGUAGES else "en", key, **values)


def page_settings() -> Settings:
    """The server's settings; ends the page with the error if one is invalid."""
    try:
        return current_settings()
    except SettingsError as error:
        st.error(str(error))
        st.stop()


def get_searcher() -> Searcher:
    """The searcher; ends the page while it loads and when it cannot be loaded."""
    settings = page_settings()
    load = loading(settings.index, settings.checkpoint)
    if load.error:
        st.error(visible(load.error))
        st.stop()
    if load.searcher is None and not load.wait(0.5):
        _show_progress(load)
        st.stop()
    return get_searcher() if load.searcher is None else load.searcher


@st.fragment(run_every=0.5)
def _show_progress(load: Loading) -> None:
    if load.done:
        st.rerun()
    st.progress(load.fraction, text=tr(load.step))


def library_choices() -> Mapping[str, Sequence[str]]:
    """The tags, licenses and sources to filter by; empty lists while there is no library."""
    try:
        return filter_choices(page_settings().index)
    except (BundleError, OSError):
        return {"tags": [], "licenses": [], "sources": []}


def library_name(searcher: Searcher) -> str:
    """The collection's name in headings."""
    path = getattr(searcher.collection, "path", None)
    if path is None:
        return tr("your_pictures")
    return tr("starter") if path == STARTER else searcher.collection.name


def reaction_name(category: str) -> str:
    """What a category of ReactionGIF is called in the visitor's language."""
    return tr(f"reaction_{category}")


def format_score(result: Result) -> str:
    """The score as visitors read it: a probability in percent, or the cosine of the frames."""
    if result.signals:
        return tr("fits_score", percent=f"{result.score:.0%}".rstrip("%"))
    return f"{result.score:.2f}"


def clip_text(text: str, chars: int = TITLE_CHARS) -> str:
    """The text, cut to `chars` characters with an ellipsis."""
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


def while_watched(work: Callable[[Stop], T], draw: Callable[[], object]) -> T:
    """Run `work` in its own thread and return its result; stop it when the visitor leaves.

    `draw` is called several times a second meanwhile and must draw something: Streamlit ends
    a script whose visitor has left, or has asked for something else, where it draws.
    """
    job = Job(work)
    try:
        while not job.wait(DRAW_EVERY_S):
            draw()
        return job.future.result()
    finally:
        job.leave()


def kept_work(
    name: str, key: object, work: Callable[[Stop], T], fraction: Callable[[], float] = lambda: 0.0
) -> T:
    """The result of `work`, which the session keeps as `name` until the key changes.

    Meanwhile a bar shows `fraction`, from 0 to 1.
    """
    kept = st.session_state.get(name)
    if kept is None or kept[0] != key:
        place, text = st.empty(), tr("reading_pictures")
        try:
            result = while_watched(work, lambda: place.progress(fraction(), text=text))
        except RetrievalError:
            place.empty()
            raise
        place.empty()
        kept = st.session_state[name] = (key, result)
    result = kept[1]
    return result

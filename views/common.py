"""What the pages share: the language, the searcher, and the addresses of GIFs."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import streamlit as st

from retrieval.errors import BundleError, MediaError, SettingsError
from retrieval.hub import is_address
from retrieval.library import Bundle, Record, folder_of, is_web_address, read_catalog
from retrieval.media import Stop
from retrieval.paths import ROOT, STARTER
from retrieval.search import Searcher
from retrieval.web import (
    GIF_ROUTE,
    LANGUAGES,
    STILL_ROUTE,
    Job,
    Loading,
    MediaFile,
    Settings,
    loading,
    media_file,
    png_of,
    say,
    without_paths,
)

DRAW_EVERY_S = 0.25

T = TypeVar("T")


def words(key: str, **values: object) -> str:
    """The page's words in the language that the person chose."""
    language = st.session_state.get("lang", "en")
    return say(language if language in LANGUAGES else "en", key, **values)


def settings() -> Settings:
    """What the server was started with; if it makes no sense, the page ends here."""
    try:
        return Settings.read()
    except SettingsError as error:
        st.error(str(error))
        st.stop()


def searcher() -> Searcher:
    """The searcher; while it loads, and if it cannot be loaded, the page ends here."""
    asked = settings()
    found = loading(asked.index, asked.checkpoint)
    if found.error:
        st.error(visible(found.error))
        st.stop()
    if found.searcher is None and not found.wait(0.5):
        _show_progress(found)
        st.stop()
    return searcher() if found.searcher is None else found.searcher


@st.fragment(run_every=0.5)
def _show_progress(found: Loading) -> None:
    if found.done:
        st.rerun()
    st.progress(found.fraction, text=words(found.step))


def library_choices() -> dict[str, list[str]]:
    """The tags, licences and sources of the library; nothing while there is none."""
    try:
        path = folder_of(settings().index) / "catalog.parquet"
        return _choices(str(path), path.stat().st_mtime_ns)
    except (BundleError, OSError):
        return {"tags": [], "licenses": [], "sources": []}


@st.cache_data(show_spinner=False, max_entries=4)
def _choices(path: str, changed_ns: int) -> dict[str, list[str]]:
    records = read_catalog(Path(path))
    return {
        "tags": sorted({tag for record in records for tag in record.tags}),
        "licenses": sorted({record.license for record in records if record.license}),
        "sources": sorted({record.source for record in records if record.source}),
    }


def library_name(found: Searcher) -> str:
    """What the header calls the collection."""
    path = getattr(found.collection, "path", None)
    if path is None:
        return words("your_pictures")
    return words("starter") if path == STARTER else found.collection.name


def media_of(record: Record, found: Searcher) -> MediaFile | None:
    """The record's file, if there is one that may be shown."""
    bundle = found.collection
    if not isinstance(bundle, Bundle):
        return None
    try:
        return media_file(bundle.path, record, pulled=bundle.origin is not None)
    except (MediaError, OSError):
        return None


def gif_address(record: Record, found: Searcher) -> str | None:
    """Where a browser gets the GIF; where there is no server (in tests), its path.

    None if the GIF cannot be shown.
    """
    if is_web_address(record.uri):
        return record.uri
    file = media_of(record, found)
    if file is None:
        return None
    origin = _origin()
    return f"{origin}{GIF_ROUTE}/{record.id}{file.suffix}" if origin else str(file.path)


def still_address(record: Record, frame: int, found: Searcher) -> str | bytes | None:
    """Where this server gives one frame of the GIF out as PNG; without a server, the PNG.

    The GIF's own address if that is elsewhere; None if it cannot be shown.
    """
    if is_web_address(record.uri):
        return record.uri
    file = media_of(record, found)
    if file is None:
        return None
    origin = _origin()
    if not origin:
        return png_of(file.path, frame)
    return f"{origin}{STILL_ROUTE}/{record.id}/{frame}.png"


def _origin() -> str | None:
    url = urlsplit(st.context.url or "")
    return f"{url.scheme}://{url.netloc}" if url.netloc else None


def visible(text: object) -> str:
    """An error or a label as visitors may read it: without the paths of this machine."""
    folders: list[Path | str] = []
    with suppress(SettingsError):
        given = Settings.read()
        folders = [given.data, *([] if is_address(given.index) else [given.index])]
    return without_paths(str(text), folders, [ROOT, Path.home()])


def while_watched(work: Callable[[Stop], T], draw: Callable[[], object]) -> T:
    """The result of work in a thread of its own, which ends when the visitor leaves.

    `draw` is called several times a second meanwhile, and has to draw something: Streamlit
    ends a script, if the visitor has left or has asked for something else, where it draws.
    """
    job = Job(work)
    try:
        while not job.wait(DRAW_EVERY_S):
            draw()
        return job.future.result()
    finally:
        job.leave()

"""What the pages share: the language, the searcher, and the addresses of GIFs."""

from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from retrieval.bundle import folder_of
from retrieval.catalog import Record, read_catalog
from retrieval.errors import BundleError, SettingsError
from retrieval.loading import Loading, loading
from retrieval.search import Searcher
from retrieval.serving import GIF_ROUTE, STILL_ROUTE
from retrieval.settings import STARTER, Settings
from retrieval.words import LANGUAGES, say


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
        st.error(str(found.error))
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


def gif_address(record: Record) -> str | None:
    """Where this server gives the GIF out; None where there is no server (in tests)."""
    if "://" in record.uri:
        return record.uri
    origin = _origin()
    suffix = Path(record.uri).suffix
    return f"{origin}{GIF_ROUTE}/{record.id}{suffix}" if origin else None


def still_address(record: Record, frame: int) -> str | None:
    """Where this server gives one frame of the GIF out as PNG."""
    origin = _origin()
    return f"{origin}{STILL_ROUTE}/{record.id}/{frame}.png" if origin else None


def _origin() -> str | None:
    url = urlsplit(st.context.url or "")
    return f"{url.scheme}://{url.netloc}" if url.netloc else None

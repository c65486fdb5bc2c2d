"""The web page's logic, without Streamlit."""

from retrieval.web.addresses import (
    GIF_ROUTE,
    RENDITION_ROUTE,
    STILL_ROUTE,
    rendition_url,
    still_url,
)
from retrieval.web.catalog import filter_choices, library_catalog
from retrieval.web.feedback import (
    Summary,
    Tally,
    Vote,
    VoteLog,
    question_as_text,
    read_votes,
    save_vote,
    summarize,
    timestamp,
)
from retrieval.web.library_map import LibraryMap, library_map
from retrieval.web.loader import Loading, loading
from retrieval.web.overview import Overview, open_overview
from retrieval.web.routes import MediaFile, check_frame, find_file, media_file, png_of
from retrieval.web.settings import Settings, current_settings
from retrieval.web.translations import LANGUAGES, translate
from retrieval.web.turns import Job
from retrieval.web.uploads import Uploads, embed_upload, read_uploads
from retrieval.web.visitors import visible, without_paths

__all__ = [
    "GIF_ROUTE",
    "LANGUAGES",
    "RENDITION_ROUTE",
    "STILL_ROUTE",
    "Job",
    "LibraryMap",
    "Loading",
    "MediaFile",
    "Overview",
    "Settings",
    "Summary",
    "Tally",
    "Uploads",
    "Vote",
    "VoteLog",
    "check_frame",
    "current_settings",
    "embed_upload",
    "filter_choices",
    "find_file",
    "library_catalog",
    "library_map",
    "loading",
    "media_file",
    "open_overview",
    "png_of",
    "question_as_text",
    "read_uploads",
    "read_votes",
    "rendition_url",
    "save_vote",
    "still_url",
    "summarize",
    "timestamp",
    "translate",
    "visible",
    "without_paths",
]

"""The web page's logic, without Streamlit."""

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
from retrieval.web.frontend import (
    FRONTEND_ROUTE,
    StartEarly,
    frontend_folder,
    frontend_module,
    frontend_version,
)
from retrieval.web.loader import Loading, loading
from retrieval.web.overview import near_duplicates, project, sample_of
from retrieval.web.page import EXAMPLES, OPENING, page_config
from retrieval.web.routes import (
    GIF_ROUTE,
    STILL_ROUTE,
    MediaFile,
    Stills,
    check_frame,
    find_file,
    media_file,
    png_of,
)
from retrieval.web.settings import Settings, current_settings
from retrieval.web.translations import LANGUAGES, translate
from retrieval.web.turns import Job
from retrieval.web.uploads import Uploads, embed_upload, read_uploads
from retrieval.web.visitors import visible, without_paths

__all__ = [
    "EXAMPLES",
    "FRONTEND_ROUTE",
    "GIF_ROUTE",
    "LANGUAGES",
    "OPENING",
    "STILL_ROUTE",
    "Job",
    "Loading",
    "MediaFile",
    "Settings",
    "StartEarly",
    "Stills",
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
    "frontend_folder",
    "frontend_module",
    "frontend_version",
    "library_catalog",
    "loading",
    "media_file",
    "near_duplicates",
    "page_config",
    "png_of",
    "project",
    "question_as_text",
    "read_uploads",
    "read_votes",
    "sample_of",
    "save_vote",
    "summarize",
    "timestamp",
    "translate",
    "visible",
    "without_paths",
]

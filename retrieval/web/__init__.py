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
from retrieval.web.loader import Loading, loading
from retrieval.web.overview import near_duplicates, project, sample_of
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
from retrieval.web.uploads import (
    UPLOAD_LIMITS,
    EmbeddedFile,
    Uploads,
    check_uploads,
    collect,
    embed_file,
    embed_upload,
    read_uploads,
)
from retrieval.web.visitors import visible, without_paths

__all__ = [
    "GIF_ROUTE",
    "LANGUAGES",
    "STILL_ROUTE",
    "UPLOAD_LIMITS",
    "EmbeddedFile",
    "Job",
    "Loading",
    "MediaFile",
    "Settings",
    "Stills",
    "Summary",
    "Tally",
    "Uploads",
    "Vote",
    "VoteLog",
    "check_frame",
    "check_uploads",
    "collect",
    "current_settings",
    "embed_file",
    "embed_upload",
    "filter_choices",
    "find_file",
    "library_catalog",
    "loading",
    "media_file",
    "near_duplicates",
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

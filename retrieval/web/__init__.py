"""The web page's logic, without Streamlit."""

from retrieval.web.feedback import (
    Summary,
    Tally,
    Vote,
    in_words,
    keep_vote,
    now,
    read_votes,
    summarize,
)
from retrieval.web.loader import Loading, loading
from retrieval.web.overview import near_duplicates, overview, project, sample_of
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
from retrieval.web.settings import Settings
from retrieval.web.translations import LANGUAGES, say
from retrieval.web.turns import Job
from retrieval.web.uploads import Uploads, embed_upload, read_uploads
from retrieval.web.visitors import without_paths

__all__ = [
    "GIF_ROUTE",
    "LANGUAGES",
    "STILL_ROUTE",
    "Job",
    "Loading",
    "MediaFile",
    "Settings",
    "Stills",
    "Summary",
    "Tally",
    "Uploads",
    "Vote",
    "check_frame",
    "embed_upload",
    "find_file",
    "in_words",
    "keep_vote",
    "loading",
    "media_file",
    "near_duplicates",
    "now",
    "overview",
    "png_of",
    "project",
    "read_uploads",
    "read_votes",
    "sample_of",
    "say",
    "summarize",
    "without_paths",
]

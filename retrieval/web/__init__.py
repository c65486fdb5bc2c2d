"""The web page's logic, without Streamlit."""

from retrieval.web.advice import EXAMPLES, Advice, advise, examples_for
from retrieval.web.cards import Card, checkpoint_card, describe_loaded, library_card
from retrieval.web.catalog import filter_choices
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
from retrieval.web.languages import recognise_language
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
from retrieval.web.translations import LANGUAGES, Sentence, TextKey, translate
from retrieval.web.turns import Job
from retrieval.web.uploads import Uploads, embed_upload, read_uploads
from retrieval.web.visitors import without_paths

__all__ = [
    "EXAMPLES",
    "GIF_ROUTE",
    "LANGUAGES",
    "STILL_ROUTE",
    "Advice",
    "Card",
    "Job",
    "Loading",
    "MediaFile",
    "Sentence",
    "Settings",
    "Stills",
    "Summary",
    "Tally",
    "TextKey",
    "Uploads",
    "Vote",
    "VoteLog",
    "advise",
    "check_frame",
    "checkpoint_card",
    "current_settings",
    "describe_loaded",
    "embed_upload",
    "examples_for",
    "filter_choices",
    "find_file",
    "library_card",
    "loading",
    "media_file",
    "near_duplicates",
    "png_of",
    "project",
    "question_as_text",
    "read_uploads",
    "read_votes",
    "recognise_language",
    "sample_of",
    "save_vote",
    "summarize",
    "timestamp",
    "translate",
    "without_paths",
]

"""The web page's logic, without Streamlit."""

from retrieval.web.addresses import (
    GIF_ROUTE,
    RENDITION_ROUTE,
    STILL_ROUTE,
    rendition_url,
    still_url,
)
from retrieval.web.advice import (
    EXAMPLES,
    Advice,
    advise,
    examples_for,
    language_advice,
    outdated_advice,
    sight_advice,
    visible_label,
)
from retrieval.web.cards import Card, checkpoint_card, describe_loaded, library_card
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
    StartEarly,
    frontend_folder,
    frontend_route,
)
from retrieval.web.languages import OTHER, SCRIPTS, recognise_language
from retrieval.web.library_map import LibraryMap, library_map
from retrieval.web.loader import Loading, loading
from retrieval.web.overview import Overview, open_overview
from retrieval.web.page import OPENING, page_config, page_frame
from retrieval.web.policy import current_policy
from retrieval.web.routes import MediaFile, check_frame, find_file, media_file
from retrieval.web.server import tune_server
from retrieval.web.settings import Settings, current_settings
from retrieval.web.streamlit_routes import CloseUnusedRoutes
from retrieval.web.translations import LANGUAGES, Sentence, TextKey, texts, translate
from retrieval.web.turns import Job
from retrieval.web.uploads import (
    UPLOAD_LIMITS,
    EmbeddedFile,
    Uploads,
    check_uploads,
    collect,
    embed_file,
    embed_upload,
)
from retrieval.web.visitors import visible, without_paths

__all__ = [
    "EXAMPLES",
    "GIF_ROUTE",
    "LANGUAGES",
    "OPENING",
    "OTHER",
    "RENDITION_ROUTE",
    "SCRIPTS",
    "STILL_ROUTE",
    "UPLOAD_LIMITS",
    "Advice",
    "Card",
    "CloseUnusedRoutes",
    "EmbeddedFile",
    "Job",
    "LibraryMap",
    "Loading",
    "MediaFile",
    "Overview",
    "Sentence",
    "Settings",
    "StartEarly",
    "Summary",
    "Tally",
    "TextKey",
    "Uploads",
    "Vote",
    "VoteLog",
    "advise",
    "check_frame",
    "check_uploads",
    "checkpoint_card",
    "collect",
    "current_policy",
    "current_settings",
    "describe_loaded",
    "embed_file",
    "embed_upload",
    "examples_for",
    "filter_choices",
    "find_file",
    "frontend_folder",
    "frontend_route",
    "language_advice",
    "library_card",
    "library_catalog",
    "library_map",
    "loading",
    "media_file",
    "open_overview",
    "outdated_advice",
    "page_config",
    "page_frame",
    "question_as_text",
    "read_votes",
    "recognise_language",
    "rendition_url",
    "save_vote",
    "sight_advice",
    "still_url",
    "summarize",
    "texts",
    "timestamp",
    "translate",
    "tune_server",
    "visible",
    "visible_label",
    "without_paths",
]

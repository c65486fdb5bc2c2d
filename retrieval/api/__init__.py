"""The HTTP API: Starlette routes that answer in JSON, for the page and for other programs."""

from retrieval.api.application import Service, create_app
from retrieval.api.categories import kept_examples
from retrieval.api.constants import answer_constants
from retrieval.api.first import page_start
from retrieval.api.gifs import file_name, media_of
from retrieval.api.library import library_routes
from retrieval.api.questions import Question, understand_question
from retrieval.api.routes import API_ROUTE, api_routes

__all__ = [
    "API_ROUTE",
    "Question",
    "Service",
    "answer_constants",
    "api_routes",
    "create_app",
    "file_name",
    "kept_examples",
    "library_routes",
    "media_of",
    "page_start",
    "understand_question",
]

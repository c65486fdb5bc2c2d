"""The HTTP API: Starlette routes that answer in JSON, for the page and for other programs."""

from retrieval.api.first import page_start
from retrieval.api.giphy import giphy_routes
from retrieval.api.library import library_routes
from retrieval.api.questions import Question, understand_question
from retrieval.api.routes import API_ROUTE, api_routes
from retrieval.api.tenor import tenor_routes

__all__ = [
    "API_ROUTE",
    "Question",
    "api_routes",
    "giphy_routes",
    "library_routes",
    "page_start",
    "tenor_routes",
    "understand_question",
]

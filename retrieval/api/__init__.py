"""The HTTP API: Starlette routes that answer in JSON, for the page and for other programs."""

from retrieval.api.application import Service, create_app
from retrieval.api.first import page_start
from retrieval.api.library import library_routes
from retrieval.api.questions import Question, understand_question
from retrieval.api.routes import API_ROUTE, api_routes

__all__ = [
    "API_ROUTE",
    "Question",
    "Service",
    "api_routes",
    "create_app",
    "library_routes",
    "page_start",
    "understand_question",
]

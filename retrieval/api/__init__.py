"""The HTTP API: Starlette routes that answer in JSON, for the page and for other programs."""

from retrieval.api.first import page_start
from retrieval.api.routes import api_routes

__all__ = ["api_routes", "page_start"]

"""Search: turn a query into ranked GIFs."""

from retrieval.search.constants import ranking_constants, ranking_weights
from retrieval.search.fusion import FUSIONS
from retrieval.search.query import (
    RECOGNISED,
    Filter,
    Message,
    Query,
    Term,
    chat_terms,
    check_message,
)
from retrieval.search.results import Result
from retrieval.search.searcher import DEFAULT_TOP_K, Searcher, encoder_of

__all__ = [
    "DEFAULT_TOP_K",
    "FUSIONS",
    "RECOGNISED",
    "Filter",
    "Message",
    "Query",
    "Result",
    "Searcher",
    "Term",
    "chat_terms",
    "check_message",
    "encoder_of",
    "ranking_constants",
    "ranking_weights",
]

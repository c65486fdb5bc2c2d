"""Search: turn a query into ranked GIFs."""

from retrieval.search.query import Filter, Term, chat_terms, check_message
from retrieval.search.results import Result
from retrieval.search.searcher import DEFAULT_TOP_K, Searcher, encoder_of

__all__ = [
    "DEFAULT_TOP_K",
    "Filter",
    "Result",
    "Searcher",
    "Term",
    "chat_terms",
    "check_message",
    "encoder_of",
]

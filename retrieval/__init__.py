"""CLIP reaction search: type a message, get the reaction GIFs that answer it.

    from retrieval import Searcher
    searcher = Searcher.open("index/starter")
    for result in searcher.ask("I'm so scared right now", top_k=5):
        print(result.rank, f"{result.score:.3f}", result.record.title, result.uri)

Importing the package loads nothing else; the names below are imported when they are first used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# By name, not by import statements: they would load NumPy and FAISS at once.
_EXPORTS = {
    "Bundle": "retrieval.library",
    "Searcher": "retrieval.search",
    "build_index": "retrieval.build",
    "load_encoder": "retrieval.encoders",
}
__all__ = ["Bundle", "Searcher", "__version__", "build_index", "load_encoder"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

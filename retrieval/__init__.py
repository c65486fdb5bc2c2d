"""CLIP reaction search: type a message, get the reaction GIFs that answer it.

    from retrieval.search import Searcher
    searcher = Searcher.open("index/starter")
    for result in searcher.ask("I'm so scared right now", top_k=5):
        print(result.rank, f"{result.score:.3f}", result.record.title, result.uri)

Importing the package loads nothing heavy; torch comes only with a checkpoint that is not
exported.
"""

import sys
from typing import Any

# OpenVINO reports each import to Google Analytics, unasked, through a package that it also
# does without: here it finds none. What people type and index is nobody's business.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("openvino_telemetry", None)

__version__ = "0.1.0"

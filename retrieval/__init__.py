"""CLIP reaction search: type a message, get the reaction GIFs that answer it.

    from retrieval.search import Searcher
    searcher = Searcher.open("index/starter")
    for result in searcher.ask("I'm so scared right now", top_k=5):
        print(result.rank, f"{result.score:.3f}", result.record.title, result.uri)

Importing the package loads nothing heavy; torch comes only with a checkpoint that is not
exported.
"""

__version__ = "0.1.0"

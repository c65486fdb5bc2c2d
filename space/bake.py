"""Open what the page will serve, once, while the image is built.

A bundle and a checkpoint that do not fit fail the build, not the first visitor, and what
lies on the Hub is in the image from then on. A checkpoint that comes in torch is exported,
so that it answers faster and starts without torch.
"""

import sys

from retrieval.encoders import find_export
from retrieval.errors import RetrievalError
from retrieval.search import Searcher
from retrieval.web import Settings


def main() -> None:
    settings = Settings.read()
    searcher = Searcher.open(settings.index, checkpoint=settings.checkpoint)
    (result,) = searcher.ask("I got the job 🎉", top_k=1)
    print(
        f"{searcher.collection.name} answers with {searcher.encoder.label}: {result.record.title}"
    )
    checkpoint = searcher.encoder.checkpoint
    # One that lies in a folder is part of the application, which is not ours to write to.
    if find_export(checkpoint) or checkpoint.folder:
        return
    from retrieval.encoders.export import export_encoder
    from retrieval.encoders.open_clip import OpenClipEncoder

    out = checkpoint.export_folder("float32")
    print(f"Exporting {searcher.encoder.label} to {out} …")
    export_encoder(OpenClipEncoder(checkpoint), out)


if __name__ == "__main__":
    try:
        main()
    except RetrievalError as error:
        sys.exit(f"Error: {error}")

"""Render the cards of published repositories: data cards of bundles, model cards of checkpoints.

A card is Markdown after YAML front matter, from which the Hub reads the licence, the
configurations of a data set and the library that loads a model. A data card states only what
the bundle's manifest and catalogue contain.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from retrieval.hub import front_matter, split_front_matter
from retrieval.library import UNKNOWN_LICENSE, Manifest, Record

OTHER = "other"  # the Hub's value for several licences, and for an unknown one
MAX_SOURCES = 50  # rows of the table; the catalogue has the rest

# The Hub's names for licences of media and weights (hf.co/docs/hub/repositories-licenses).
HUB_LICENSES = frozenset({
    "apache-2.0", "mit", "isc", "zlib", "unlicense", "wtfpl", "ms-pl", "bsd",
    "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "epl-2.0", "gpl", "gpl-2.0", "gpl-3.0",
    "lgpl", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "artistic-2.0", "bsl-1.0", "ofl-1.1",
    "pddl", "odc-by", "odbl", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0",
    "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0",
    "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "apple-amlr", "openrail",
})  # fmt: skip


def license_id(names: Iterable[str]) -> str:
    """The Hub's identifier if all names are the same licence; else "other".

    >>> license_id(["MIT"]), license_id(["CC BY 4.0"]), license_id(["MIT", "unknown"])
    ('mit', 'cc-by-4.0', 'other')
    """
    ids = {re.sub(r"[\s_]+", "-", name.strip().lower()) for name in names}
    return ids.pop() if len(ids) == 1 and ids <= HUB_LICENSES else OTHER


def data_card(repo_id: str, manifest: Manifest, records: Sequence[Record]) -> str:
    """Render the README of a bundle's data set repository."""
    name = repo_id.rpartition("/")[2]
    front = {
        "pretty_name": name,
        "license": license_id(manifest.licenses),
        "tags": ["clip", "faiss", "gif", "reactions", "clip-reaction-search"],
        "size_categories": [_size_category(manifest.n_gifs)],
        "configs": [
            {"config_name": "catalog", "data_files": "catalog.parquet", "default": True},
            {"config_name": "embeddings", "data_files": "embeddings/*.parquet"},
        ],
    }
    rows = "GIFs, in the catalogue's order" if manifest.index_rows == "gifs" else "embedded frames"
    kind = manifest.index_kind
    if manifest.index_parameters:
        kind += f" ({', '.join(f'{k} {v}' for k, v in manifest.index_parameters.items())})"
    facts = {
        "GIFs": f"{manifest.n_gifs:,}",
        "embedded frames": f"{manifest.n_frames:,}, at most {manifest.frames_per_gif} a GIF",
        "grouped as look-alikes of another": f"{manifest.n_near_duplicates:,}",
        "media in this repository": f"{_n_inside(records):,}",
        "checkpoint": manifest.checkpoint_label,
        "its fingerprint": manifest.fingerprint,
        "dimensions": f"{manifest.dim}",
        "precision of the image tower": manifest.precision,
        "a GIF's score": f"{manifest.pooling}, {manifest.metric}",
        "index": kind,
        "built from": manifest.source or "not said",
        "written by": f"{manifest.written_by}, format {manifest.format_version}",
    }
    return f"""{front_matter(front)}
# {_plain(name)}

Reaction GIFs to be found by what they look like: a catalogue, an embedding of every chosen
frame, and a search index over them, as one bundle of CLIP reaction search.

```python
from retrieval.search import Searcher

searcher = Searcher.open("hf://datasets/{repo_id}")  # …@REVISION for a fixed one
for result in searcher.ask("I got the job 🎉", top_k=5):
    print(result.rank, f"{{result.score:.3f}}", result.record.title, result.uri)
```

```python
from datasets import load_dataset

catalog = load_dataset("{repo_id}", "catalog", split="train")
embeddings = load_dataset("{repo_id}", "embeddings", split="train")
```

## What is in it

| | |
|---|---|
{_rows(facts.items())}

`catalog.parquet` has a row a GIF (id: the SHA-256 of its bytes; title, tags, licence, source,
size). `embeddings/` has a row a frame (gif_id, frame_index, time_ms, vector: float32, of unit
length). `vectors.faiss` is the index; its rows are the {rows}. `manifest.json`
has the size and the SHA-256 of every file; the program checks them before it uses one.

## Licences and sources

{_license_note(manifest)}

| licence | source | credit | GIFs |
|---|---|---|---:|
{_source_rows(records)}

## How it was made

Each file was decoded to at most {manifest.frames_per_gif} distinct frames, each frame embedded
by the checkpoint above in {manifest.precision}, and the vectors scaled to unit length.
Look-alikes were grouped by their embeddings. Titles and tags are those of the source.

## Known limits

- Only an encoder with the fingerprint above fits these embeddings.
- What can be found is what the checkpoint sees; its model card says what that is.
- A score is a cosine, not a probability, and is not comparable between checkpoints.
{_limits(manifest, records)}"""


def model_card(
    repo_id: str,
    readme: str,
    facts: Mapping[str, str],
    license: str = "",
    *,
    exported: bool = True,
) -> str:
    """Render the README of a checkpoint's repository: its own card, and how to load it.

    Its front matter is kept; licence and library are added where missing. `facts` are shown as
    a table; `exported` is whether the repository holds an export.
    """
    known, text = split_front_matter(readme)
    front = {
        "license": license_id([license]) if license else OTHER,
        "library_name": "open_clip",
        "pipeline_tag": "zero-shot-image-classification",
        "tags": ["clip", "clip-reaction-search"],
        **known,
    }
    name = repo_id.rpartition("/")[2]
    own = text.strip() or (
        f"# {_plain(name)}\n\nA CLIP checkpoint. Its folder came without a card: nothing is "
        f"known here of what it was trained on, or of what it is good for."
    )
    export = (
        ", and `exported/float32` the\ngraphs of both towers for OpenVINO, whose weights are that "
        "very file's: they serve without torch"
    )
    return f"""{front_matter(front)}
{own}

## Loading it from here

```python
import open_clip

model, preprocess = open_clip.create_model_from_pretrained("hf-hub:{repo_id}")
model.eval()
tokenizer = open_clip.get_tokenizer("hf-hub:{repo_id}")
```

```python
from retrieval.encoders import load_encoder  # CLIP reaction search

encoder = load_encoder("hf-hub:{repo_id}")
```

In this repository `open_clip_model.safetensors` holds all weights{export if exported else ""}.

| | |
|---|---|
{_rows(facts.items())}
"""


def n_unknown(licenses: Mapping[str, int]) -> int:
    """Number of GIFs without a known licence."""
    return sum(n for name, n in licenses.items() if not name.strip() or name == UNKNOWN_LICENSE)


def _n_inside(records: Sequence[Record]) -> int:
    return sum(record.uri.startswith("media/") for record in records)


def _license_note(manifest: Manifest) -> str:
    if license_id(manifest.licenses) != OTHER:
        return "All GIFs stand under one licence. It covers the GIFs; the index derives from them."
    return (
        "The GIFs stand under several licences, or under none that is known, so this repository "
        "as a whole has none: what may be done with a GIF, its row in the catalogue says."
    )


def _source_rows(records: Sequence[Record]) -> str:
    counts = Counter((r.license or UNKNOWN_LICENSE, r.source, r.attribution) for r in records)
    rows = [(*what, f"{n:,}") for what, n in counts.most_common(MAX_SOURCES)]
    if len(counts) > MAX_SOURCES:
        rest = sum(n for _, n in counts.most_common()[MAX_SOURCES:])
        rows.append(("…", f"{len(counts) - MAX_SOURCES:,} more, in the catalogue", "", f"{rest:,}"))
    return _rows(rows)


def _limits(manifest: Manifest, records: Sequence[Record]) -> str:
    limits = []
    outside = len(records) - _n_inside(records)
    if outside:
        limits.append(
            f"{outside:,} of {len(records):,} GIFs are not in this repository: the catalogue "
            f"names an address, or a file on the machine that built it."
        )
    unknown = n_unknown(manifest.licenses)
    if unknown:
        limits.append(
            f"The licence of {unknown:,} GIFs is not known. Do not assume that they may be used."
        )
    if manifest.encoder_checkpoint.kind == "folder":
        limits.append("The checkpoint is a folder on the machine that built it.")
    return "".join(f"- {limit}\n" for limit in limits)


def _size_category(n: int) -> str:
    """The Hub's size category of so many rows."""
    for bound, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if n < bound:
            return name
    return "100K<n<1M" if n < 1_000_000 else "n>1M"


def _rows(rows: Iterable[Iterable[str]]) -> str:
    return "\n".join(f"| {' | '.join(map(_plain, row))} |" for row in rows)


def _plain(text: str) -> str:
    """Escape text for Markdown, on one line: titles and credits come from unknown sources."""
    return re.sub(r"([\\`*\[\]<>|#~])", r"\\\1", " ".join(str(text).split()))

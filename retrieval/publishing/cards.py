"""Render the cards of published repositories: data cards of bundles, model cards of checkpoints.

A card is Markdown after YAML front matter, from which the Hub reads the licence, the
configurations of a data set and the library that loads a model. A data card states only what
the bundle's manifest and catalogue contain.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from retrieval.hub import front_matter, split_front_matter
from retrieval.library import UNKNOWN_LICENSE, Manifest, Record, is_web_address

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
    n_inside = sum(record.uri.startswith("media/") for record in records)
    return _render(
        "data_card.md.j2",
        front_matter=front_matter(front),
        repo_id=repo_id,
        name=name,
        manifest=manifest,
        n_records=len(records),
        n_inside=n_inside,
        n_outside=len(records) - n_inside,
        n_unknown=n_unknown(manifest.licenses),
        has_one_license=license_id(manifest.licenses) != OTHER,
        sources=_source_rows(records),
    )


def model_card(
    repo_id: str, readme: str, facts: Mapping[str, str], license: str = "", *, exported: bool = True
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
    return _render(
        "model_card.md.j2",
        front_matter=front_matter(front),
        repo_id=repo_id,
        name=repo_id.rpartition("/")[2],
        text=text.strip(),
        facts=facts,
        exported=exported,
    )


def site_card(
    front: Mapping[str, object],
    manifest: Manifest,
    records: Sequence[Record],
    checkpoint: str,
    agreement: str,
) -> str:
    """Render the README of a static site; `agreement` says how well its model does."""
    return _render(
        "site_card.md.j2",
        front_matter=front_matter(front),
        title=front["title"],
        manifest=manifest,
        n_records=len(records),
        n_on_web=sum(is_web_address(record.uri) for record in records),
        n_unknown=n_unknown(manifest.licenses),
        has_one_license=license_id(manifest.licenses) != OTHER,
        checkpoint=checkpoint,
        agreement=agreement,
        sources=_source_rows(records),
    )


def n_unknown(licenses: Mapping[str, int]) -> int:
    """Number of GIFs without a known licence."""
    return sum(n for name, n in licenses.items() if not name.strip() or name == UNKNOWN_LICENSE)


def _source_rows(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """The licence, source, credit and number of GIFs of the largest groups, and of the rest."""
    counts = Counter((r.license or UNKNOWN_LICENSE, r.source, r.attribution) for r in records)
    rows: list[tuple[str, ...]] = [(*what, f"{n:,}") for what, n in counts.most_common(MAX_SOURCES)]
    if len(counts) > MAX_SOURCES:
        rest = sum(n for _, n in counts.most_common()[MAX_SOURCES:])
        rows.append(("…", f"{len(counts) - MAX_SOURCES:,} more, in the catalogue", "", f"{rest:,}"))
    return rows


def _size_category(n: int) -> str:
    """The Hub's size category of so many rows."""
    categories = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "n>1M")
    return categories[bisect_right((1_000, 10_000, 100_000, 1_000_000), n)]


def _render(template: str, **values: object) -> str:
    from jinja2 import Environment, PackageLoader

    templates = Environment(
        loader=PackageLoader("retrieval.publishing", "."), keep_trailing_newline=True
    )
    templates.filters |= {"plain": _plain, "number": "{:,}".format}
    return templates.get_template(template).render(values)


def _plain(text: str) -> str:
    """Escape text for Markdown, on one line: titles and credits come from unknown sources."""
    return re.sub(r"([\\`*\[\]<>|#~])", r"\\\1", " ".join(str(text).split()))

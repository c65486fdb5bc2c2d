"""The card of what is loaded: library, checkpoint, what the build measured, and their own cards."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retrieval.encoders import languages_of, model_card
from retrieval.errors import HubError
from retrieval.hub import split_front_matter
from retrieval.library import Bundle
from retrieval.paths import ROOT, STARTER
from retrieval.search import Searcher
from retrieval.signals import Measured, signal_weights
from retrieval.web.advice import language_names, measured_of, visible_label
from retrieval.web.translations import Sentence, TextKey
from retrieval.web.visitors import without_paths

CARD = "README.md"
HUB_DATASETS = "https://huggingface.co/datasets"
MAX_CHARS = 200_000  # of a card

HEADING_LEVELS = 2  # those of the page, which a card's headings stand below

_HEADING = re.compile(r"(#{1,6})\s+")
_IMAGE = re.compile(r"!\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])")


@dataclass(frozen=True)
class Card:
    """A card as visitors read it; `text` is empty if there is only an address, or neither."""

    text: str = ""  # Markdown without front matter, images and this machine's paths
    address: str = ""


def describe_loaded(searcher: Searcher) -> list[Sentence]:
    """What is loaded, a line each: library, checkpoint, and each signal with its measurement."""
    encoder, records = searcher.encoder, searcher.collection.records
    bundle = searcher.collection if isinstance(searcher.collection, Bundle) else None
    lines = [Sentence("loaded_gifs", {"n": f"{len(records):,}"})]
    lines.append(
        Sentence(
            "loaded_checkpoint",
            {
                "checkpoint": visible_label(searcher),
                "dim": encoder.dim,
                "fingerprint": encoder.fingerprint,
            },
        )
    )
    languages = language_names(languages_of(encoder.checkpoint))
    lines.append(Sentence("loaded_languages", {"languages": languages}))
    names = tuple(TextKey(f"signal_{name}") for name in searcher.signals)
    lines.append(Sentence("signals_loaded", {"signals": names}))
    if bundle and searcher.signals != ("frames",):
        facts = bundle.manifest.signal_facts
        counts = {"n_names": facts.get("n_names", 0), "n_words": facts.get("n_words", 0)}
        lines.append(Sentence("loaded_texts", {k: f"{n:,}" for k, n in counts.items()}))
    measured = measured_of(searcher)
    return lines + (_findings(measured, searcher) if measured else [])


def _findings(measured: Measured, searcher: Searcher) -> list[Sentence]:
    """Each thing that was measured, and how much each signal counts because of it."""
    lines = []
    for key in ("frames_by_name", "frames_by_words", "names_by_words"):
        share = getattr(measured, key)
        if share >= 0:
            values = {"found": f"{100 * share:.0f}", "chance": f"{100 * measured.chance:.1f}"}
            lines.append(Sentence(f"measured_{key}", dict(values)))
    if not lines:
        lines.append(Sentence("measured_nothing"))
    if searcher.signals != ("frames",):
        weights = signal_weights(measured)
        values = {name: f"{weights[name]:.1f}" for name in weights}
        lines.append(Sentence("measured_weights", dict(values)))
    return lines


def checkpoint_card(searcher: Searcher) -> Card:
    """The model card of the loaded checkpoint."""
    card = model_card(searcher.encoder.checkpoint)
    folder = searcher.encoder.checkpoint.folder
    return Card(_visible(card.text, folder), card.address)


def library_card(searcher: Searcher) -> Card:
    """The data card of the loaded library: the README of its folder."""
    bundle = searcher.collection
    if not isinstance(bundle, Bundle):
        return Card()
    file = bundle.path / CARD
    if bundle.path == STARTER:
        file = ROOT / "data" / CARD
    address = f"{HUB_DATASETS}/{bundle.origin.repo_id}" if bundle.origin else ""
    try:
        text = file.read_text(encoding="utf-8")[:MAX_CHARS]
    except (OSError, ValueError):
        return Card(address=address)
    with suppress(HubError):  # malformed front matter is shown with the rest
        text = split_front_matter(text)[1]
    return Card(_visible(text, bundle.path), address)


def _visible(text: str, folder: Path | None) -> str:
    """The text without paths, and without images, which browsers would fetch from elsewhere.

    Headings move down by HEADING_LEVELS.

    >>> _visible("# Mine\\n![a cat](https://a.b/c.png) in /srv/clip/x", None)
    '### Mine\\na cat in x'
    """
    lines, is_code = [], False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            is_code = not is_code
        heading = None if is_code else _HEADING.match(line)
        if heading:
            level = min(6, len(heading[1]) + HEADING_LEVELS)
            line = f"{'#' * level} {line[heading.end() :]}"
        lines.append(line)
    folders = [folder] if folder else []
    return without_paths(_IMAGE.sub(r"\1", "\n".join(lines)), folders, (ROOT, Path.home()))

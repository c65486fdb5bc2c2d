"""Write the files of a static site of a bundle.

    index.html, sw.js       the page, and what keeps it for visits without a network
    page/VERSION/           its modules, joined, and the search engine's, which run in a worker
    data/, model/, vendor/  retrieval.site.data, retrieval.site.model, retrieval.site.vendor
    media/, rendition/, still/   retrieval.site.media
    README.md, LICENSE, licenses/
    site.json               every file's size and SHA-256: a folder without it is never replaced

All addresses are relative: a site may lie below a path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from retrieval.errors import BundleError
from retrieval.hub import Progress, sha256_of, split_front_matter, stays_inside
from retrieval.library import MEDIA, Bundle
from retrieval.paths import ROOT
from retrieval.publishing import model_on_hub, site_card
from retrieval.search import Searcher
from retrieval.site.agreement import Agreement
from retrieval.site.data import write_data
from retrieval.site.limits import check_limits
from retrieval.site.media import Picture, copied, write_pictures
from retrieval.site.model import check_text_tower, write_model
from retrieval.site.page import (
    INDEX,
    WORKER,
    Software,
    index_html,
    page_files,
    page_folder,
    service_worker,
    site_version,
)
from retrieval.site.vendor import PACKAGES, write_vendor
from retrieval.web.advice import visible_label
from retrieval.web.frontend import FRONTEND
from retrieval.web.modules import join_modules

ENGINE = FRONTEND / "engine"
SITE, CARD = "site.json", "README.md"
N_OTHERS = 100  # files of a site besides pictures, at most
# Threads of WebAssembly need a page that is isolated from other sites. These are the only headers
# that the Hub lets a Space set.
HEADERS = {
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "cross-origin",
}
_NOTICE = re.compile(r"(LICEN[CS]E|NOTICE|COPYING)(\.\w+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Site:
    """What was written: bytes and SHA-256 of each file but site.json, by path."""

    files: Mapping[str, Mapping[str, Any]]
    agreement: Agreement
    warnings: tuple[str, ...]


def write_site(searcher: Searcher, folder: Path, progress: Progress | None = None) -> Site:
    """Write the static site of a searcher's bundle into an empty folder.

    What cannot become one is refused before work starts: SpaceError for too many files or GIFs
    that lie outside of the bundle, CheckpointError for too large a text tower.
    """
    bundle = searcher.collection
    if not isinstance(bundle, Bundle):
        raise BundleError(f"{bundle.name} is no index bundle, so it cannot be a static site.")
    records = copied(bundle)
    planned = [path for record in records for path in Picture(record.id, ".gif", 0).paths]
    check_limits([*planned, *(f"data/{number}" for number in range(N_OTHERS))])
    check_text_tower(searcher.encoder.checkpoint)
    vendor = write_vendor(folder / "vendor")
    agreement = write_model(searcher, folder / "model", vendor)
    write_data(searcher, folder / "data")
    ids = {record.id for record in records}
    warnings = write_pictures(bundle, _pictures(folder, ids), folder, progress)
    _write(folder, _notices(bundle))
    _write(folder, {CARD: _card(bundle, visible_label(searcher), agreement)})
    files = _write_page(searcher, folder)
    _write(folder, {SITE: json.dumps({"written_by": _writer(), "files": files}, indent=1).encode()})
    return Site(files, agreement, tuple(warnings))


def owned_files(folder: Path) -> tuple[str, ...] | None:
    """The files that a site's manifest lists, itself last; None if the folder is no site."""
    try:
        described = json.loads((folder / SITE).read_text(encoding="utf-8"))
        if described["written_by"] != _writer():
            return None
        return (*(name for name in described["files"] if stays_inside(name)), SITE)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _writer() -> str:
    return "clip-reaction-search static site 1"


def _pictures(folder: Path, ids: set[str]) -> list[Picture]:
    """The pictures that the site's catalogue names, of those that are copied."""
    columns = json.loads((folder / "data" / "catalog.json").read_text(encoding="utf-8"))
    rows = zip(columns["id"], columns["suffix"], columns["frame"], strict=True)
    return [Picture(*row) for row in rows if row[0] in ids and row[1] is not None]


def _write_page(searcher: Searcher, folder: Path) -> dict[str, dict[str, Any]]:
    """Write the page, whose version depends on all other files; returns facts of all files."""
    software = [Software(p.name, p.license, p.file) for p in PACKAGES]
    worker = join_modules(ENGINE, "worker").encode()
    _write(folder, {**page_files(searcher, software), f"{page_folder()}/worker.js": worker})
    facts = _facts(folder)
    hashes = {path: str(each["sha256"]) for path, each in facts.items()}
    version = site_version(hashes)
    has_images = (folder / "model" / "image.onnx").is_file()
    _write(folder, {INDEX: index_html(searcher, version, pictures=has_images)})
    facts[INDEX] = _facts_of(folder / INDEX)
    hashes[INDEX] = str(facts[INDEX]["sha256"])
    _write(folder, {WORKER: service_worker(version, hashes)})
    facts[WORKER] = _facts_of(folder / WORKER)
    return dict(sorted(facts.items()))


def _notices(bundle: Bundle) -> dict[str, bytes]:
    """The licence of the program, the notices of what it derives from, and those of the GIFs."""
    files = {"LICENSE": ROOT / "LICENSE"}
    files |= {f"licenses/{p.name}": p for p in sorted((ROOT / "data" / "licenses").iterdir())}
    for name in bundle.manifest.files:
        path = PurePosixPath(name)
        if path.parts[0] == MEDIA and _NOTICE.fullmatch(path.name):
            files[f"licenses/{'-'.join(path.parts)}"] = bundle.path / name
    return {name: file.read_bytes() for name, file in files.items()}


def _card(bundle: Bundle, checkpoint: str, agreement: Agreement) -> bytes:
    """README.md: front matter for the Hub, and what is in the site."""
    values, _ = split_front_matter((ROOT / "space" / CARD).read_text(encoding="utf-8"))
    values = {k: v for k, v in values.items() if k not in ("app_port", "suggested_hardware")}
    # A page that asks for isolation may not show pictures of sites that do not agree to it.
    isolated = len(copied(bundle)) == len(bundle.records)
    values |= {
        "sdk": "static",
        "app_file": INDEX,
        "models": model_on_hub(bundle.manifest.checkpoint) or None,
        "datasets": [bundle.origin.repo_id] if bundle.origin else None,
        "tags": [tag for tag in values["tags"] if tag != "streamlit"],
        "custom_headers": HEADERS if isolated else None,
    }
    card = site_card(values, bundle.manifest, bundle.records, checkpoint, str(agreement))
    return card.encode()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Bytes and SHA-256 of all files below a folder, by path."""
    files = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
    return {file.relative_to(folder).as_posix(): _facts_of(file) for file in files}


def _facts_of(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": sha256_of(file)}

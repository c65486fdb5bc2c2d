"""Manifests that were written by somebody else: changed, with a checksum and hashes that fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from retrieval.hub import sha256_of
from retrieval.library.manifest import MANIFEST, checksum_of


def edit_manifest(bundle: Path, **changes: Any) -> None:
    """Change values of a bundle's manifest; its checksum fits again."""
    file = bundle / MANIFEST
    facts = {**json.loads(file.read_text("utf-8")), **changes}
    facts["checksum"] = checksum_of(facts)
    file.write_text(json.dumps(facts), "utf-8")


def accept_changes(bundle: Path) -> None:
    """Give the manifest the sizes and hashes that its files have now."""
    files = json.loads((bundle / MANIFEST).read_text("utf-8"))["files"]
    for name in files:
        file = bundle / name
        files[name] = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
    edit_manifest(bundle, files=files)

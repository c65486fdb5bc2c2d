"""What pyproject.toml declares."""

from __future__ import annotations

import sys
from typing import Any

from retrieval.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def settings() -> dict[str, Any]:
    """All of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements_of(part: str) -> list[str]:
    """The requirements of an extra, or those of the base installation for "base"."""
    project = settings()["project"]
    lines: list[str] = (
        project["dependencies"] if part == "base" else project["optional-dependencies"][part]
    )
    return lines

"""Placeholder until the page is there: a page without content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.search import Searcher
from retrieval.web.frontend import frontend_version

INDEX, WORKER = "index.html", "sw.js"


@dataclass(frozen=True)
class Software:
    """A package that the site carries; `address` is its licence's text or its site."""

    name: str
    license: str
    address: str = ""


def page_folder() -> str:
    """Where the page's modules are: page/ and the version of the JavaScript."""
    return f"page/{frontend_version()}"


def page_files(searcher: Searcher, software: Sequence[Software] = ()) -> dict[str, bytes]:
    """The page's module."""
    return {f"{page_folder()}/page.js": b"export {};\n"}


def index_html(searcher: Searcher, version: str, *, pictures: bool) -> bytes:
    """The HTML of the site of this version."""
    return f'<!doctype html><title>{version}</title><script src="page.js"></script>\n'.encode()


def site_version(files: Mapping[str, str]) -> str:
    """The version of a site: a hash of its files' SHA-256, by path."""
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]


def service_worker(version: str, files: Mapping[str, str]) -> bytes:
    """The service worker of this version."""
    return f"const VERSION = {version!r};\n".encode()

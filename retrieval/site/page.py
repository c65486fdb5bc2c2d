"""The page of a static site: its HTML, its modules, what it says of its data, its service worker.

The texts, the examples and the picker are those of the Streamlit page; frontend/site.js puts them
together. Addresses are relative to index.html, as a site may live below a path.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from retrieval.encoders import model_card
from retrieval.library import Record, is_web_address
from retrieval.search import Searcher
from retrieval.web import LANGUAGES, describe_loaded, page_config, translate
from retrieval.web.advice import visible_label
from retrieval.web.frontend import FRONTEND, as_script, frontend_version
from retrieval.web.modules import join_modules
from retrieval.web.translations import texts

INDEX, WORKER, ABOUT, MODEL = "index.html", "sw.js", "data/about.json", "model/model.json"
PAGE_FOLDER = "page"
MAX_LICENSES = 100  # rows of the panel; README.md has the others
OTHER_PAGES = ("lib_", "slash_")  # texts of other parts of the program
KEPT_OFFLINE = (f"{PAGE_FOLDER}/", "data/", "vendor/", "model/")  # pictures: as they are seen

# Nothing from elsewhere, and no script in the page itself; WebAssembly is the model's runtime.
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "img-src 'self' data: blob:{web}; media-src 'self' blob:{web}; object-src 'none'; "
    "base-uri 'none'; form-action 'self'"
)


@dataclass(frozen=True)
class Software:
    """A package that the site carries; `address` is its licence's text or its site."""

    name: str
    license: str
    address: str = ""


def page_folder() -> str:
    """Where the page's modules are: page/ and the version of the JavaScript."""
    return f"{PAGE_FOLDER}/{frontend_version()}"


def page_files(searcher: Searcher, software: Sequence[Software] = ()) -> dict[str, bytes]:
    """The page's module and style, and what it says of its data, by path.

    The worker (page_folder()/worker.js) is the engine's.
    """
    folder = page_folder()
    return {
        f"{folder}/page.js": join_modules(FRONTEND, "site").encode(),
        f"{folder}/site.css": (FRONTEND / "site.css").read_bytes(),
        ABOUT: _json(about_site(searcher, software)),
    }


def index_html(searcher: Searcher, version: str, *, pictures: bool) -> bytes:
    """The HTML of the site of this version (`site_version`).

    `pictures` is whether its engine embeds pictures.
    """
    from jinja2 import Environment, select_autoescape

    environment = Environment(
        autoescape=select_autoescape(default=True), keep_trailing_newline=True
    )
    environment.filters["script"] = as_script
    template = environment.from_string((FRONTEND / "site.html").read_text(encoding="utf-8"))
    has_web = any(is_web_address(record.uri) for record in searcher.collection.records)
    language = next(iter(LANGUAGES))
    return template.render(
        language=language,
        texts=texts(language),
        folder=page_folder(),
        version=version,
        policy=POLICY.format(web=" https:" if has_web else ""),
        config=site_config(searcher, pictures=pictures),
    ).encode()


def site_config(searcher: Searcher, *, pictures: bool) -> dict[str, object]:
    """What frontend/site.js needs to start, in all languages."""
    return {
        "languages": {language: _picker_config(language, searcher) for language in LANGUAGES},
        "pictures": pictures,
        "worker": f"{page_folder()}/worker.js",
        "service_worker": WORKER,
        "about": ABOUT,
        "model": MODEL,
    }


def _picker_config(language: str, searcher: Searcher) -> dict[str, object]:
    config = dict(page_config(language, searcher))
    own = {key: text for key, text in texts(language).items() if not key.startswith(OTHER_PAGES)}
    return {
        "lang": language,
        "name": LANGUAGES[language],
        "texts": own,
        "examples": config["examples"],
        "max_files": config["max_files"],
        "feedback": False,  # there is no server that could keep a vote
    }


def about_site(searcher: Searcher, software: Sequence[Software] = ()) -> dict[str, object]:
    """What is in the site: what is loaded, licences and credits, the checkpoint, the software."""
    records = searcher.collection.records
    lines = describe_loaded(searcher)
    checkpoint = searcher.encoder.checkpoint
    card, preset = model_card(checkpoint), checkpoint.preset
    licenses = _license_rows(records)
    return {
        "loaded": {
            language: [translate(language, line.key, **line.values) for line in lines]
            for language in LANGUAGES
        },
        "licenses": licenses[:MAX_LICENSES],
        "more": len(licenses) - len(licenses[:MAX_LICENSES]),
        "on_web": sum(is_web_address(record.uri) for record in records),
        "checkpoint": visible_label(searcher),
        "checkpoint_license": preset.license if preset else str(card.facts.get("license", "")),
        "card": card.address,
        "software": [asdict(each) for each in software],
    }


def _license_rows(records: Sequence[Record]) -> list[dict[str, object]]:
    """Each licence, credit and source with its number of GIFs, the largest group first."""
    counts = Counter((r.license, r.attribution, r.source) for r in records)
    names = ("license", "attribution", "source")
    return [{**dict(zip(names, what, strict=True)), "n": n} for what, n in counts.most_common()]


def kept_offline(path: str) -> bool:
    """Whether a file of the site is kept in the browser before it is asked for."""
    return path == INDEX or path.startswith(KEPT_OFFLINE)


def site_version(files: Mapping[str, str]) -> str:
    """The version of a site: a hash of its files' SHA-256, by path, without what names it.

    16 hexadecimal digits.
    """
    hashed = {path: files[path] for path in sorted(files) if path not in (INDEX, WORKER)}
    return hashlib.sha256(_json(hashed)).hexdigest()[:16]


def service_worker(version: str, files: Mapping[str, str]) -> bytes:
    """frontend/sw.js for this version; `files` are the SHA-256 of the site's files, by path."""
    source = (FRONTEND / WORKER).read_text(encoding="utf-8")
    kept = {path: digest for path, digest in sorted(files.items()) if kept_offline(path)}
    site = json.dumps({"version": version, "files": kept})
    before, marker, after = source.partition("const SITE = {};")
    if not marker:
        raise ValueError("frontend/sw.js has no line 'const SITE = {};' to write the version into.")
    return f"{before}const SITE = {site};{after}".encode()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

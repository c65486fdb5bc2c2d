"""Join the page's JavaScript modules into one file, so that a first visit is one request.

A browser that opens the page has six connections, for which Streamlit's own sixty files queue:
22 modules took 370 ms to arrive, one file 60 ms. Each module becomes a function, so that names
do not meet. What is understood is what frontend/ uses: `import {a, b} from "./module.js"`,
`import styles from "./file.css" with {type: "css"}`, and `export` before a declaration.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{([^}]+)\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
_STYLES = re.compile(
    r'^import (\w+) from "\./([\w-]+\.css)" with \{ ?type: "css" ?\};\n', re.MULTILINE
)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const|let) (\w+))", re.MULTILINE)


def join_modules(folder: Path, entry: str) -> str:
    """The module `entry` (without .js) and all that it imports, as one module's source.

    ValueError for circular imports.
    """
    order: list[str] = []
    _visit(folder, entry, order, ())
    parts = [_as_function(folder, name) for name in order]
    exported = [name for _, name in _EXPORT.findall(_read(folder, entry))]
    parts.append(f"export const {{ {', '.join(exported)} }} = {_variable(entry)};\n")
    return "".join(parts)


def _visit(folder: Path, name: str, order: list[str], above: tuple[str, ...]) -> None:
    if name in above:
        raise ValueError(f"Circular import in {folder}: {' -> '.join([*above, name])}.")
    if name in order:
        return
    for _, imported in _IMPORT.findall(_read(folder, name)):
        _visit(folder, imported, order, (*above, name))
    order.append(name)


def _as_function(folder: Path, name: str) -> str:
    source = _read(folder, name)
    exported = [exported for _, exported in _EXPORT.findall(source)]
    source = _IMPORT.sub(lambda m: f"const {{{m[1]}}} = {_variable(m[2])};\n", source)
    source = _STYLES.sub(lambda m: _stylesheet(folder, m[1], m[2]), source)
    source = _EXPORT.sub(r"\1", source)
    returned = ", ".join(exported)
    return f"const {_variable(name)} = (() => {{\n{source}return {{ {returned} }};\n}})();\n"


def _stylesheet(folder: Path, variable: str, name: str) -> str:
    text = json.dumps((folder / name).read_text(encoding="utf-8"), ensure_ascii=False)
    return f"const {variable} = new CSSStyleSheet();\n{variable}.replaceSync({text});\n"


def _variable(name: str) -> str:
    return f"module_{name.replace('-', '_')}"


def _read(folder: Path, name: str) -> str:
    return (folder / f"{name}.js").read_text(encoding="utf-8")

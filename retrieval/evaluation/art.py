"""Emoji pictures in several styles, and the words that name them.

The art comes inside npm packages (fetched with the npm client at the pinned
versions below) and is not kept in this repository. Eight styles of stills serve
training and tests; the animations become the starter library. Flags, skin tones
and components are left out: they say nothing about a reaction.

An emoji's *key* is its code points in lower-case hexadecimal, joined by "-",
without the variation selector fe0f: the one spelling that all packages share.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from retrieval.errors import SourceError

VARIATION_SELECTOR = "fe0f"
SMILEYS, COMPONENTS, FLAGS = 0, 2, 9  # group numbers of emojibase-data


@dataclass(frozen=True)
class Package:
    """One npm package: where a style or a word list comes from, and its terms."""

    name: str
    version: str
    license: str
    attribution: str


FLUENT = ("MIT", "Fluent Emoji, Microsoft")
PACKAGES = {
    "words": Package("emojibase-data", "17.0.0", "MIT", "emojibase-data, Miles Johnson"),
    "keywords": Package("emojilib", "4.0.3", "MIT", "emojilib, Mu-An Chiou"),
    "noto": Package("@iconify-json/noto", "1.2.9", "Apache-2.0", "Noto Emoji, Google"),
    "noto-v1": Package("@iconify-json/noto-v1", "1.2.5", "Apache-2.0", "Noto Emoji v1, Google"),
    "twemoji": Package("@iconify-json/twemoji", "1.2.5", "CC-BY-4.0", "Twemoji, Twitter"),
    "fluent-flat": Package("@iconify-json/fluent-emoji-flat", "1.2.6", *FLUENT),
    "fluent-3d": Package("@lobehub/fluent-emoji-3d", "1.1.0", *FLUENT),
    "fxemoji": Package("@iconify-json/fxemoji", "1.2.2", "Apache-2.0", "FxEmojis, Mozilla"),
    "emojione": Package("@iconify-json/emojione", "1.2.3", "CC-BY-4.0", "EmojiOne 2"),
    "openmoji": Package("openmoji", "17.0.0", "CC-BY-SA-4.0", "OpenMoji"),
    "animated-1": Package("@lobehub/fluent-emoji-anim-1", "1.0.0", *FLUENT),
    "animated-2": Package("@lobehub/fluent-emoji-anim-2", "1.0.0", *FLUENT),
    "animated-3": Package("@lobehub/fluent-emoji-anim-3", "1.0.0", *FLUENT),
    "animated-4": Package("@lobehub/fluent-emoji-anim-4", "1.0.0", *FLUENT),
}
TRAIN_STYLES = ("noto", "noto-v1", "twemoji", "fluent-flat", "fluent-3d", "fxemoji")
# Never trained on: the honest test of the eye. OpenMoji is share-alike, which is
# why it may be a test and may not be in what the shipped weights learned from.
TEST_STYLES = ("emojione", "openmoji")
ANIMATED = ("animated-1", "animated-2", "animated-3", "animated-4")


@dataclass(frozen=True)
class Emoji:
    """An emoji and what people call it; `names` starts with its CLDR label."""

    key: str
    char: str
    names: tuple[str, ...]
    tags: tuple[str, ...]
    group: int | None


def key_of(hexcode: str) -> str:
    """The key of a hexadecimal sequence: key_of("2764-FE0F") == "2764"."""
    return "-".join(p for p in hexcode.lower().split("-") if p != VARIATION_SELECTOR)


def key_of_char(char: str) -> str:
    """The key of an emoji as written: key_of_char("❤️") == "2764"."""
    return key_of("-".join(f"{ord(c):x}" for c in char))


def fetch(part: str, cache: Path) -> Path:
    """The unpacked folder of one of PACKAGES, fetched with `npm pack` if not yet there."""
    package = PACKAGES[part]
    folder = cache / f"{part}-{package.version}"
    if folder.is_dir():
        return folder
    if shutil.which("npm") is None:
        raise SourceError(
            f"{package.name} is needed and npm is not installed. Install it: apt-get install npm"
        )
    cache.mkdir(parents=True, exist_ok=True)
    spec = f"{package.name}@{package.version}"
    done = subprocess.run(
        ["npm", "pack", "--silent", spec], cwd=cache, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SourceError(f"npm pack {spec} failed: {reason}. Check the network, then run again.")
    tarball = cache / done.stdout.strip().splitlines()[-1]
    with tempfile.TemporaryDirectory(dir=cache, prefix=f".{folder.name}.") as partial:
        _unpack(tarball, Path(partial) / "package")
        (Path(partial) / "package").rename(folder)
    tarball.unlink()
    return folder


def _unpack(tarball: Path, folder: Path) -> None:
    """The regular files below package/. (Debian 12's Python lacks tarfile's safe filters.)"""
    with tarfile.open(tarball) as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            content = tar.extractfile(member) if member.isfile() else None
            if content is None or parts[0] != "package" or ".." in parts:
                continue
            path = folder.joinpath(*parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)


def load_emoji(cache: Path) -> list[Emoji]:
    """Every emoji that stands for something, with its names and tags, in Unicode order."""
    words = fetch("words", cache) / "en"
    records = json.loads((words / "data.json").read_text(encoding="utf-8"))
    shortcodes = [
        json.loads((words / "shortcodes" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("cldr", "emojibase", "github", "iamcal", "joypixels")
    ]
    keyword_file = fetch("keywords", cache) / "dist" / "emoji-en-US.json"
    keywords = {
        key_of_char(char): words
        for char, words in json.loads(keyword_file.read_text(encoding="utf-8")).items()
    }
    found = []
    for record in records:
        if record.get("group") in (FLAGS, COMPONENTS, None):
            continue
        key = key_of(record["hexcode"])
        names = [record["label"]]
        for table in shortcodes:
            codes = table.get(record["hexcode"], [])
            names += [codes] if isinstance(codes, str) else codes
        tags = list(record.get("tags", [])) + keywords.get(key, [])
        found.append(
            Emoji(
                key=key,
                char=record["emoji"],
                names=_distinct(map(_spaced, names)),
                tags=_distinct(_spaced(t) for t in tags if re.search(r"[a-z]{2}", t.lower())),
                group=record.get("group"),
            )
        )
    return found


def _spaced(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").replace(":", " ").lower().split())


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(w for w in words if w))


def stills(
    style: str,
    emoji: list[Emoji],
    cache: Path,
    size: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """The style's pictures by emoji key: uint8 RGBA arrays of (size, size, 4).

    Drawn once and kept in the cache folder; a style lacks some emoji, and those
    are simply not in the answer.
    """
    kept = cache / f"{style}-{PACKAGES[style].version}-{size}.npz"
    if kept.exists():
        with np.load(kept, allow_pickle=False) as table:
            return dict(zip(table["keys"].tolist(), table["pictures"], strict=True))
    sources = _sources(style, emoji, cache)
    drawn = {}
    for done, (key, source) in enumerate(sources.items()):
        drawn[key] = _draw(source, size)
        if progress:
            progress(done + 1, len(sources))
    np.savez(kept, keys=np.array(list(drawn)), pictures=np.stack(list(drawn.values())))
    return drawn


def _sources(style: str, emoji: list[Emoji], cache: Path) -> dict[str, Path | str]:
    """Emoji key → a picture file, or SVG text."""
    folder = fetch(style, cache)
    wanted = {e.key for e in emoji}
    if style == "fluent-3d":
        files = {key_of(p.stem): p for p in sorted((folder / "assets").iterdir())}
        return {k: p for k, p in files.items() if k in wanted}
    if style == "openmoji":
        files = {key_of(p.stem): p for p in sorted((folder / "color" / "svg").glob("*.svg"))}
        return {k: p.read_text(encoding="utf-8") for k, p in files.items() if k in wanted}
    icons = json.loads((folder / "icons.json").read_text(encoding="utf-8"))
    names = json.loads((folder / "chars.json").read_text(encoding="utf-8"))
    named = {key_of(code): name for code, name in names.items()}
    found: dict[str, Path | str] = {}
    for e in emoji:
        slugs = [named.get(e.key)] if named else [n.replace(" ", "-") for n in e.names]
        icon = next((icons["icons"][s] for s in slugs if s in icons["icons"]), None)
        if icon is not None:
            width = icon.get("width", icons.get("width", 16))
            height = icon.get("height", icons.get("height", 16))
            found[e.key] = (
                f'<svg xmlns="http://www.w3.org/2000/svg" '
                f'xmlns:xlink="http://www.w3.org/1999/xlink" '
                f'viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
            )
    return found


def _draw(source: Path | str, size: int) -> np.ndarray:
    if isinstance(source, Path):
        picture: Image.Image = Image.open(source, formats=["PNG", "WEBP"])
    else:
        import resvg_py  # drawing is only done where a checkpoint is trained or tested

        png = resvg_py.svg_to_bytes(svg_string=source, width=2 * size)
        picture = Image.open(io.BytesIO(png), formats=["PNG"])
    picture = picture.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def animations(cache: Path) -> dict[str, Path]:
    """Emoji key → animated WebP file, for every animation that the packages carry."""
    return {
        key_of(path.stem): path
        for part in ANIMATED
        for path in sorted((fetch(part, cache) / "assets").glob("*.webp"))
    }

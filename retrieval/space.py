"""Put a Hugging Face Space together: what goes up, and where in its repository.

The page and the modules that it reaches, the bundle with its checkpoint, the texts that the
page shows, the notices, and the files of space/ at the top. Neither tests nor training data
nor anything that happens to lie beside them: everything is named here. Sending it up is the
Hub's part (retrieval.hub), following the Dockerfile Docker's, or scripts/run_space.py's.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from retrieval.bundle import MANIFEST, Bundle, Manifest
from retrieval.encoder import HF_HUB, LOCAL_DIR, checkpoint_folder, find_export, label_of
from retrieval.errors import SpaceError
from retrieval.presets import CHECKPOINTS, PRESETS
from retrieval.settings import ROOT

WORKDIR = "/app"  # of space/Dockerfile
TOP_FILES = ("Dockerfile", "README.md", "requirements.txt", "requirements-torch.txt", "bake.py")
# Of the project itself: the notices, and what the about page reads.
TEXTS = ("LICENSE", "CITATION.cff", "data/README.md", ".streamlit/config.toml")
ENTRY_POINTS = ("app.py", "space/bake.py")

# The Hub's names for what the presets are made of, for the front matter.
HUB_MODELS = {
    "mini": "sentence-transformers/all-MiniLM-L6-v2",
    "siglip2": "timm/ViT-B-32-SigLIP2-256",
    "clip": "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    "xlmr": "laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k",
    "fast": "apple/MobileCLIP2-S0",
}

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_HUB_BUNDLE = re.compile(r"hf://datasets/([^/@]+/[^/@]+)(?:@([^/@]+))?")
_SECRET_NAME = re.compile(
    r"\.env(\..*)?|.*\.(pem|key|p12|pfx|token)|id_(rsa|dsa|ecdsa|ed25519)|\.?netrc|\.npmrc|\.pypirc"
    r"|\.git-credentials|(secrets?|credentials?|tokens?)(\.(toml|json|ya?ml|ini|cfg|txt))?",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(rb"\bhf_[A-Za-z0-9]{30,}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----")
_TEXT_BYTES = 200_000  # secrets are looked for in files up to this size


@dataclass(frozen=True)
class Space:
    """What goes up: a path in the repository to a local file or bytes; and the variables."""

    files: Mapping[str, Path | bytes]
    variables: Mapping[str, str]


def check_repo_id(repo_id: str) -> str:
    """The name of a repository on the Hub as it was given; SpaceError unless OWNER/NAME."""
    if not _REPO_ID.fullmatch(repo_id) or "--" in repo_id or ".." in repo_id:
        raise SpaceError(
            f"{repo_id!r} is no name of a Space; expected OWNER/NAME with letters, digits, '-', "
            f"'_' and '.'. Name it: python scripts/deploy_space.py OWNER/NAME"
        )
    return repo_id


def hub_bundle(bundle: str) -> tuple[str, str | None] | None:
    """(OWNER/NAME, revision) of hf://datasets/OWNER/NAME@REV; None for a bundle in a folder.

    >>> hub_bundle("hf://datasets/me/reactions@v1")
    ('me/reactions', 'v1')
    """
    if not bundle.startswith("hf://"):
        return None
    match = _HUB_BUNDLE.fullmatch(bundle)
    if not match:
        raise SpaceError(
            f"{bundle!r} is no bundle on the Hub; expected hf://datasets/OWNER/NAME or "
            f"hf://datasets/OWNER/NAME@REVISION"
        )
    return match[1], match[2]


def assemble(
    bundle: str,
    manifest: Manifest | None = None,
    *,
    model: str | None = None,
    torch: bool = False,
    bake: bool = True,
) -> Space:
    """The Space that serves a bundle: a folder, or hf://datasets/… with its `manifest`.

    `model` says where its checkpoint comes from, if not from where the bundle has it
    (REACTION_CHECKPOINT); `torch` builds the Space with PyTorch, `bake` fetches while
    building, not at every start. SpaceError for what could not serve or must not go up.
    """
    remote = hub_bundle(bundle)
    variables = {"TORCH": str(int(torch)), "BAKE": str(int(bake))}
    files = _own_files()
    if remote:
        if manifest is None:
            raise ValueError("a bundle on the Hub is assembled with its manifest")
        variables["REACTION_INDEX"] = bundle
        files["index/README.md"] = f"Nothing lies here: the Space serves {bundle}.\n".encode()
    else:
        opened = Bundle.open(Path(bundle).resolve())
        manifest = opened.manifest
        variables["REACTION_INDEX"] = f"{WORKDIR}/index/{opened.name}"
        files |= _bundle_files(opened, f"index/{opened.name}")
    checkpoint, place = _checkpoint_files(manifest, model, torch)
    files |= checkpoint
    if place:
        variables["REACTION_CHECKPOINT"] = place
    on_hub = model_on_hub(model or manifest.checkpoint)
    files["README.md"] = _with_front_matter(
        ROOT / "space" / "README.md", [on_hub] if on_hub else [], [remote[0]] if remote else []
    )
    _refuse_secrets(files)
    return Space(dict(sorted(files.items())), variables)


def write(space: Space, folder: Path) -> None:
    """Write the files as the repository will have them into an empty folder."""
    if folder.exists() and any(folder.iterdir()):
        raise SpaceError(f"{folder} is not empty. Remove it, or name another: --dry-run FOLDER")
    for name, content in space.files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.read_bytes())


def size_of(content: Path | bytes) -> int:
    """Its bytes."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def by_folder(files: Mapping[str, Path | bytes]) -> dict[str, list[str]]:
    """The names of the files in each folder, in order; those at the top are in "."."""
    folders: dict[str, list[str]] = {}
    for name in sorted(files):
        path = PurePosixPath(name)
        folders.setdefault(str(path.parent), []).append(path.name)
    return folders


def model_on_hub(checkpoint: str) -> str | None:
    """The checkpoint's repository on the Hub as OWNER/NAME, where its name tells."""
    for prefix in (HF_HUB, "hf://models/", "hf://"):
        if checkpoint.startswith(prefix):
            return checkpoint[len(prefix) :].split("@")[0]
    return HUB_MODELS.get(checkpoint)


def _own_files() -> dict[str, Path | bytes]:
    """The page with what it reads, and the files of space/ at the top."""
    names = [*TEXTS, *_code()]
    names += [str(p.relative_to(ROOT)) for p in _files_in(ROOT / "data" / "licenses")]
    card = CHECKPOINTS / "mini" / "README.md"  # which the about page shows
    files: dict[str, Path | bytes] = {name: ROOT / name for name in names}
    files[str(card.relative_to(ROOT))] = card
    return files | {name: ROOT / "space" / name for name in TOP_FILES}


def _code() -> set[str]:
    """The page's scripts and every module of ours that they import, however far away."""
    pending = [*ENTRY_POINTS, *(str(p.relative_to(ROOT)) for p in (ROOT / "views").glob("*.py"))]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        for module in _imported((ROOT / name).read_text(encoding="utf-8")):
            parts = module.split(".")
            for end in range(1, len(parts) + 1):
                base = "/".join(parts[:end])
                pending += [
                    f for f in (f"{base}.py", f"{base}/__init__.py") if (ROOT / f).is_file()
                ]
    return {name for name in found if not name.startswith("space/")}


def _imported(source: str) -> Iterable[str]:
    """Names of the modules that a file imports, at its top or in a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _bundle_files(bundle: Bundle, to: str) -> dict[str, Path | bytes]:
    """The bundle's files as its manifest lists them; SpaceError if its media lie elsewhere."""
    inside, records = bundle.manifest.files, bundle.records
    away = [r for r in records if "://" not in r.uri and r.uri not in inside]
    if away:
        raise SpaceError(
            f"{len(away):,} of the {len(records):,} GIFs of {bundle.path} lie outside of it (such "
            f"as {away[0].uri or away[0].title!r}), where a Space cannot reach them. Copy them in: "
            f"python scripts/build_index.py SOURCE --out {bundle.path} --copy-media"
        )
    return {f"{to}/{name}": bundle.path / name for name in [MANIFEST, *inside]}


def _checkpoint_files(
    manifest: Manifest, model: str | None, torch: bool
) -> tuple[dict[str, Path | bytes], str | None]:
    """The files of the bundle's checkpoint, and what REACTION_CHECKPOINT must be for it."""
    if model and model.startswith("hf://"):
        return {}, model  # fetched there
    name, pretrained = (model, None) if model else (manifest.checkpoint, manifest.pretrained)
    export, folder = find_export(name, pretrained), checkpoint_folder(name)
    if folder and not folder.is_dir():
        raise SpaceError(
            f"The bundle's checkpoint {name} lies in {folder}, which is not there. Say where it "
            f"is: --model {LOCAL_DIR}FOLDER"
        )
    if export is None and not torch:
        tag = f" --pretrained {pretrained}" if pretrained else ""
        raise SpaceError(
            f"The bundle needs the checkpoint {label_of(name, pretrained)}, which is neither "
            f"shipped nor exported here, and a Space has no PyTorch to run it with. Export it: "
            f"python scripts/export_encoder.py --model {name}{tag}, or build with PyTorch: --torch"
        )
    if folder:
        to = f"retrieval/checkpoints/{folder.name}"
        files = {f"{to}/{p.relative_to(folder).as_posix()}": p for p in _files_in(folder)}
    elif export:
        to = f"retrieval/checkpoints/{export.parent.name}"
        files = {f"{to}/exported/{export.name}/{p.name}": p for p in _files_in(export)}
    else:
        return {}, model  # open_clip fetches it there, too
    known = name in PRESETS and folder is not None  # by that name the Space finds it, too
    return dict(files), model if known else f"{LOCAL_DIR}{WORKDIR}/{to}"


def _files_in(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and "__pycache__" not in p.parts]


def _with_front_matter(readme: Path, models: list[str], datasets: list[str]) -> bytes:
    """The Space's README with the lists `models` and `datasets` of its front matter filled in."""
    text = readme.read_text(encoding="utf-8")
    for key, names in (("models", models), ("datasets", datasets)):
        empty = f"\n{key}: []\n"
        if empty not in text:
            raise SpaceError(f"{readme} has no line '{key}: []' to be filled in. Add it.")
        text = text.replace(empty, f"\n{key}: {json.dumps(names)}\n" if names else "\n", 1)
    return text.encode()


def _refuse_secrets(files: Mapping[str, Path | bytes]) -> None:
    for name, content in files.items():
        found = _SECRET_NAME.fullmatch(PurePosixPath(name).name) is not None
        if not found and size_of(content) <= _TEXT_BYTES:
            data = content if isinstance(content, bytes) else content.read_bytes()
            found = _SECRET_TEXT.search(data) is not None
        if found:
            where = content if isinstance(content, Path) else name
            raise SpaceError(
                f"{name} looks like a secret, and a Space can be read by anybody. Take it out: "
                f"rm {where}. What a Space must know in secret is set in its settings."
            )

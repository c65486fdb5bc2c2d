"""Assemble a Hugging Face Space: its files, and where they lie in its repository.

The page and the modules that it reaches, the bundle with its checkpoint, the texts that the
page shows, the notices, and the files of space/ at the top. Neither tests nor training data
nor anything that happens to lie beside them: everything is named here. Sending it up is the
Hub's part (retrieval.hub), following the Dockerfile is Docker's, or tests.support.run_space's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from retrieval.encoders import CHECKPOINTS, HF_HUB, LOCAL_DIR, REACTION_TEXTS, Checkpoint
from retrieval.encoders.openvino import exported_fingerprint, pulled_fingerprint
from retrieval.errors import SpaceError
from retrieval.hub import Address, Files, front_matter, is_address, size_of, split_front_matter
from retrieval.library import MANIFEST, Bundle, Manifest, is_web_address, manifest_at
from retrieval.output import require_empty
from retrieval.paths import PACKAGE, ROOT

WORKDIR = "/app"  # of space/Dockerfile
TOP_FILES = (
    "Dockerfile",
    "README.md",
    "requirements.txt",
    "requirements-lock.txt",
    "requirements-torch.txt",
    "bake.py",
)
# Of the project itself: the app, the notices, and what the about page reads.
TEXTS = ("app.py", "LICENSE", "CITATION.cff", "data/README.md", ".streamlit/config.toml")

# The Hub's names for what the presets are made of, for the front matter.
HUB_MODELS = {
    "mini": "sentence-transformers/all-MiniLM-L6-v2",
    "siglip2": "timm/ViT-B-32-SigLIP2-256",
    "clip": "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    "xlmr": "laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k",
    "fast": "apple/MobileCLIP2-S0",
}

_SECRET_NAME = re.compile(
    r"\.env(\..*)?|.*\.(pem|key|p12|pfx|token)|id_(rsa|dsa|ecdsa|ed25519)|\.?netrc|\.npmrc|\.pypirc"
    r"|\.git-credentials|(secrets?|credentials?|tokens?)(\.(toml|json|ya?ml|ini|cfg|txt))?",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(rb"\bhf_[A-Za-z0-9]{30,}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----")
_TEXT_BYTES = 200_000  # secrets are looked for in files up to this size


@dataclass(frozen=True)
class Space:
    """Files to upload, and variables to set; None removes a variable."""

    files: Files
    variables: Mapping[str, str | None]


def assemble(
    bundle: Path | str, *, model: str | None = None, torch: bool = False, bake: bool = True
) -> Space:
    """The Space that serves a bundle: one in a folder goes up with it, one on the Hub does not.

    `model` says where its checkpoint comes from, if not from where the bundle has it
    (REACTION_CHECKPOINT); `torch` builds the Space with PyTorch, `bake` fetches while
    building, not at every start. SpaceError for what could not serve or must not go up;
    BundleError, CheckpointError or HubError for what cannot be read.
    """
    files = _own_files()
    datasets = []
    if is_address(bundle):
        address = Address.parse(bundle)
        manifest, place = manifest_at(bundle), str(address)
        files["index/README.md"] = f"Nothing lies here: the Space serves {address}.\n".encode()
        datasets.append(address.repo_id)
    else:
        opened = Bundle.open(Path(bundle).resolve())
        manifest, place = opened.manifest, f"{WORKDIR}/index/{opened.name}"
        files |= _bundle_files(opened, f"index/{opened.name}")
    checkpoint, from_where = _checkpoint_files(manifest, model, torch)
    files |= checkpoint
    if manifest.signal_facts:  # mini's text tower and reaction model read messages and names
        mini = CHECKPOINTS / "mini"
        files |= {
            f"retrieval/checkpoints/mini/{p.relative_to(mini).as_posix()}": p
            for p in _files_in(mini)
        }
    models = model_on_hub(model or manifest.checkpoint)
    files["README.md"] = _with_front_matter(ROOT / "space" / "README.md", models, datasets)
    refuse_secrets(files)
    variables = {
        "TORCH": str(int(torch)),
        "BAKE": str(int(bake)),
        "REACTION_INDEX": place,
        "REACTION_CHECKPOINT": from_where,
    }
    return Space(dict(sorted(files.items())), variables)


def write(space: Space, folder: Path) -> None:
    """`write_files` of a Space."""
    write_files(space.files, folder)


def write_files(files: Files, folder: Path) -> None:
    """Write files as a repository will have them; OutputError if the folder is not empty."""
    require_empty(folder)
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.read_bytes())


def model_on_hub(checkpoint: str) -> list[str]:
    """The checkpoint's repository on the Hub as OWNER/NAME; empty if it is not known.

    >>> model_on_hub("hf-hub:me/clip@v2"), model_on_hub("local-dir:artifacts/mine")
    (['me/clip'], [])
    """
    parsed = Checkpoint.parse(checkpoint)
    if parsed.address:
        return [parsed.address.repo_id]
    return [HUB_MODELS[parsed.name]] if parsed.name in HUB_MODELS else []


def _own_files() -> dict[str, Path | bytes]:
    """The page with the files that it reads, and the files of space/ at the top."""
    texts = [ROOT / name for name in TEXTS] + _files_in(ROOT / "data" / "licenses")
    # Those that every checkpoint encodes by itself; the answers are for training alone.
    texts += [p for p in _files_in(REACTION_TEXTS) if not p.name.startswith("answers_")]
    files: dict[str, Path | bytes] = {p.relative_to(ROOT).as_posix(): p for p in texts}
    # The page's scripts, and the package without training and static sites; checkpoints go up
    # as needed.
    code = [*PACKAGE.rglob("*.py"), *PACKAGE.glob("web/texts/*.json")]
    inside = [(file.relative_to(PACKAGE), file) for file in code]
    files |= {
        f"retrieval/{name.as_posix()}": file
        for name, file in inside
        if name.parts[0] not in ("training", "site", "shipped")
    }
    for folder in ("views", "frontend"):  # below frontend/ is what static sites alone need
        files |= {f"{folder}/{p.name}": p for p in _files_in(ROOT / folder, deep=False)}
    card = CHECKPOINTS / "mini" / "README.md"  # which the about page shows
    files["retrieval/checkpoints/mini/README.md"] = card
    return files | {name: ROOT / "space" / name for name in TOP_FILES}


def _bundle_files(bundle: Bundle, to: str) -> dict[str, Path | bytes]:
    """The bundle's files as its manifest lists them; SpaceError if its media lie elsewhere."""
    inside, records = bundle.manifest.files, bundle.records
    away = [r for r in records if not is_web_address(r.uri) and r.uri not in inside]
    if away:
        raise SpaceError(
            f"{len(away):,} of the {len(records):,} GIFs of {bundle.path} lie outside of it (such "
            f"as {away[0].uri or away[0].title!r}), where a Space cannot reach them. Copy them in: "
            f"reaction-search build SOURCE --out {bundle.path} --copy-media"
        )
    return {f"{to}/{name}": bundle.path / name for name in [MANIFEST, *inside]}


def _checkpoint_files(
    manifest: Manifest, model: str | None, torch: bool
) -> tuple[dict[str, Path | bytes], str | None]:
    """The files of the bundle's checkpoint, and what REACTION_CHECKPOINT must be for it.

    None go up for one whose export lies in a repository of the Hub: the Space pulls it.
    """
    if model and is_address(model):
        raise SpaceError(f"{model} is no checkpoint; one on the Hub is {HF_HUB}OWNER/NAME")
    checkpoint = Checkpoint.parse(model) if model else manifest.encoder_checkpoint
    if checkpoint.address and (found := pulled_fingerprint(checkpoint.address)):
        _check_same(manifest, checkpoint, found)
        return {}, model
    export, folder = checkpoint.export_folder("float32"), checkpoint.folder
    if folder and not folder.is_dir():
        raise SpaceError(
            f"The bundle's checkpoint {checkpoint} lies in {folder}, which is not there. Say "
            f"where it is: --model {LOCAL_DIR}FOLDER"
        )
    found = exported_fingerprint(export)
    if found:
        _check_same(manifest, checkpoint, found)
    elif not torch:
        lacks = "is not exported here"
        if checkpoint.address:
            lacks = "has no export in its repository or here"
        raise SpaceError(
            f"The bundle needs the checkpoint {checkpoint}, which {lacks}, and a "
            f"Space has no PyTorch to run it with. Export it: reaction-search export "
            f"{checkpoint.options}, or build with PyTorch: --torch"
        )
    if folder:
        to = f"retrieval/checkpoints/{folder.name}"
        files = {f"{to}/{p.relative_to(folder).as_posix()}": p for p in _files_in(folder)}
    elif found:
        to = f"retrieval/checkpoints/{export.parent.name}"
        files = {f"{to}/exported/{export.name}/{p.name}": p for p in _files_in(export)}
    else:
        return {}, model  # open_clip fetches it there, too
    known = checkpoint.preset and folder  # by that name the Space finds it, too
    return dict(files), model if known else f"{LOCAL_DIR}{WORKDIR}/{to}"


def _check_same(manifest: Manifest, checkpoint: Checkpoint, found: str) -> None:
    if found != manifest.fingerprint:
        raise SpaceError(
            f"The bundle was built with {manifest.checkpoint_label} (fingerprint "
            f"{manifest.fingerprint[:12]}), and {checkpoint} (fingerprint "
            f"{found[:12]}) is another checkpoint. Say where that one is: --model …, or build "
            f"the bundle anew: reaction-search build SOURCE --out BUNDLE "
            f"{checkpoint.options}"
        )


def _files_in(folder: Path, *, deep: bool = True) -> list[Path]:
    files = sorted(folder.rglob("*") if deep else folder.iterdir())
    return [p for p in files if p.is_file() and "__pycache__" not in p.parts]


def _with_front_matter(readme: Path, models: list[str], datasets: list[str]) -> bytes:
    """The Space's README with the lists `models` and `datasets` of its front matter filled in."""
    values, text = split_front_matter(readme.read_text(encoding="utf-8"))
    values |= {"models": models or None, "datasets": datasets or None}
    return f"{front_matter(values)}{text}".encode()


def refuse_secrets(files: Files) -> None:
    """SpaceError if a file's name or content looks like a secret."""
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

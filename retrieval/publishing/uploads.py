"""Collect the files of a bundle or a checkpoint for upload: path in the repository → content.

Uploading is done by retrieval.hub. A checkpoint is converted to the form that open_clip loads
from the Hub: one file of weights, a text tower and a tokenizer that name the repository
itself, and a new export, because an export refers to the weights by their hash.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.encoders import REACTIONS, Checkpoint
from retrieval.errors import BundleError, CheckpointError
from retrieval.hub import Files, sha256_of, split_front_matter
from retrieval.library import MANIFEST, Bundle, is_web_address, read_whole
from retrieval.publishing.cards import data_card, model_card, n_unknown

CARD = "README.md"
# What a checkpoint's folder holds beside its weights: settings, tokenizers, notices, and mini's
# reaction model.
BESIDE_WEIGHTS = re.compile(
    rf".*\.json|.*\.model|merges\.txt|vocab\.txt|(LICENSE|NOTICE)(\.\w+)?|{re.escape(REACTIONS)}"
)


@dataclass(frozen=True)
class Publication:
    """Files to upload, and warnings to show before."""

    files: Files
    warnings: tuple[str, ...] = ()


def bundle_files(path: Path, repo_id: str) -> Publication:
    """A bundle's files and its data card; BundleError if it is incomplete or damaged."""
    return read_whole(path, lambda: _bundle_files(path, repo_id))


def _bundle_files(path: Path, repo_id: str) -> Publication:
    bundle = Bundle.open(path)
    for name, facts in bundle.manifest.files.items():
        if sha256_of(path / name) != facts["sha256"]:
            raise BundleError(
                f"{path / name} was changed since the bundle was built, so nobody could open it. "
                f"Build it again: reaction-search build FOLDER --out {path}"
            )
    files: dict[str, Path | bytes] = {name: path / name for name in bundle.manifest.files}
    files[MANIFEST] = path / MANIFEST
    files[CARD] = data_card(repo_id, bundle.manifest, bundle.records).encode()
    return Publication(files, tuple(_warnings(bundle)))


def _warnings(bundle: Bundle) -> list[str]:
    n, warnings = len(bundle.records), []
    unknown = n_unknown(bundle.manifest.licenses)
    if unknown:
        warnings.append(
            f"The licence of {unknown:,} of {n:,} GIFs is not known. Publish them only if you "
            f"may; a metadata.csv with a column license says what it is."
        )
    inside = bundle.manifest.files
    here = sum(
        not is_web_address(record.uri) and record.uri not in inside for record in bundle.records
    )
    if here:
        warnings.append(
            f"{here:,} of {n:,} GIFs are not in the bundle but files of this machine, which "
            f"others will not see. To take them along, build it with --copy-media."
        )
    if bundle.manifest.encoder_checkpoint.kind == "folder":
        warnings.append(
            f"The bundle was built with {bundle.manifest.checkpoint}, which others do not have. "
            f"Publish it (reaction-search publish checkpoint {bundle.manifest.checkpoint} "
            f"OWNER/NAME), and build the bundle with --model hf-hub:OWNER/NAME."
        )
    return warnings


def checkpoint_files(name: Checkpoint | str, repo_id: str, staging: Path) -> Publication:
    """The files of `mini` or a local-dir: checkpoint, as open_clip loads them from the Hub.

    They are written to a folder in `staging`, which must exist until they are uploaded.
    CheckpointError for another kind of checkpoint, or if the converted one has another
    fingerprint.
    """
    from retrieval.encoders.export import export_encoder
    from retrieval.encoders.open_clip import OpenClipEncoder
    from retrieval.encoders.weights import CONFIG, write_whole

    checkpoint = Checkpoint.parse(name)
    folder = checkpoint.folder
    if folder is None:
        raise CheckpointError(
            f"{checkpoint} is no checkpoint of this machine, but one that open_clip downloads. "
            f"Expected mini or local-dir:PATH."
        )
    original = OpenClipEncoder(checkpoint)
    out = staging / repo_id.rpartition("/")[2]
    out.mkdir(parents=True)
    for file in sorted(folder.iterdir()):
        if file.is_file() and BESIDE_WEIGHTS.fullmatch(file.name):
            shutil.copyfile(file, out / file.name)
    write_whole(folder, out)
    config = self_contained(json.loads((folder / CONFIG).read_text("utf-8")), folder, repo_id)
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (out / CONFIG).write_text(text + "\n", encoding="utf-8")
    staged = OpenClipEncoder(Checkpoint.of_folder(out))
    if staged.fingerprint != original.fingerprint:
        raise CheckpointError(
            f"{checkpoint} would be another checkpoint on the Hub (fingerprint "
            f"{staged.fingerprint[:12]}, here {original.fingerprint[:12]}). This is a mistake in "
            f"retrieval/publishing/uploads.py: please report it."
        )
    warnings, exported = [], True
    try:
        export_encoder(staged, staged.checkpoint.export_folder("float32"))
    except CheckpointError as error:
        exported = False
        warnings.append(f"Without an export, so that it needs torch: {error}")
    readme = folder / CARD
    card = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    license = checkpoint.preset.license if checkpoint.preset else ""
    if not license and "license" not in split_front_matter(card)[0]:
        warnings.append(
            f"{folder} does not say the licence of the checkpoint. To say it, begin its "
            f"{CARD} with the lines: ---, license: apache-2.0 (or whichever it is), ---"
        )
    facts = {
        "fingerprint": original.fingerprint,
        "dimensions": str(original.dim),
        "pixels": " × ".join(map(str, original.prepare.size)),
    }
    files: dict[str, Path | bytes] = {
        file.relative_to(out).as_posix(): file
        for file in sorted(out.rglob("*"))
        if file.is_file() and file.name != CARD
    }
    files[CARD] = model_card(repo_id, card, facts, license, exported=exported).encode()
    return Publication(files, tuple(warnings))


def self_contained(config: dict[str, Any], folder: Path, repo_id: str) -> dict[str, Any]:
    """open_clip's settings, with references to files in `folder` pointing to the repository.

    open_clip downloads the config.json of a Hugging Face text tower, and its tokenizer, by
    repository name: where the folder has them, the name becomes the repository's own.
    """
    text_cfg = dict(config["model_cfg"]["text_cfg"])
    if "hf_model_name" in text_cfg and (folder / "config.json").is_file():
        text_cfg |= {"hf_model_name": repo_id, "hf_model_pretrained": False}
    if "hf_tokenizer_name" in text_cfg and (folder / "tokenizer.json").is_file():
        text_cfg["hf_tokenizer_name"] = repo_id
    return {**config, "model_cfg": {**config["model_cfg"], "text_cfg": text_cfg}}

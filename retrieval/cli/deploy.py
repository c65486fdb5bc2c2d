"""Deploy the page as a Space on the Hugging Face Hub.

Shows what is uploaded and how large it is, creates or updates the Space with its bundle and
checkpoint in one commit, sets its variables and prints its address. Needs a token (`hf auth
login`) and, for a new Space, a paid plan of the Hub. --dry-run writes everything to a folder and
sends nothing.

reaction-search deploy me/reactions
reaction-search deploy me/reactions --bundle hf://datasets/me/my-gifs
reaction-search deploy me/reactions --bundle index/mine --dry-run /tmp/space
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from retrieval.cli.console import print_upload, print_upload_json
from retrieval.hub import check_repo_id, is_address, upload
from retrieval.paths import ROOT, STARTER
from retrieval.publishing import assemble, write

DRY_RUN = Path("artifacts") / "space"


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("repo_id", metavar="OWNER/NAME", help="the Space's repository on the Hub")
    add(
        "--bundle",
        default=str(STARTER),
        metavar="BUNDLE|hf://…",
        help="the bundle to serve: a folder, which is uploaded, or "
        "hf://datasets/OWNER/NAME[@REVISION], which the Space downloads",
    )
    add(
        "--model",
        metavar="PRESET|NAME",
        help="another source of the bundle's checkpoint than the one its manifest names: a "
        "preset, MODEL/TAG, local-dir:PATH, or hf-hub:OWNER/NAME[@REVISION], which the Space "
        "downloads; it must have the same fingerprint",
    )
    add(
        "--torch",
        action="store_true",
        help="build with PyTorch and open_clip, for a checkpoint that is not exported here",
    )
    add(
        "--no-bake",
        action="store_true",
        help="download from the Hub at every start, not once while the image is built",
    )
    add("--private", action="store_true", help="make a new Space private")
    add(
        "--dry-run",
        nargs="?",
        const=DRY_RUN,
        type=Path,
        metavar="FOLDER",
        help="write the upload to this empty folder (artifacts/space if none is given), send "
        "nothing",
    )
    add("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> None:
    check_repo_id(args.repo_id)
    space = assemble(args.bundle, model=args.model, torch=args.torch, bake=not args.no_bake)
    variables = [f"{key}={value}" for key, value in space.variables.items() if value is not None]
    if not args.json:
        print_upload(space.files)
        print("Variables:", ", ".join(variables))
    address = None
    if args.dry_run:
        write(space, args.dry_run)
    else:
        served = args.bundle if is_address(args.bundle) else Path(args.bundle).resolve().name
        address = upload(
            args.repo_id,
            "space",
            space.files,
            message=f"Serve {served}",
            private=args.private,
            space_sdk="docker",
            variables=space.variables,
        )
    if args.json:
        print_upload_json(space.files, address, variables=space.variables)
    else:
        print(address or dry_run_text(args.dry_run, variables))


def dry_run_text(folder: Path, variables: list[str]) -> str:
    """Where the Space was written to and, in a checkout, the command that runs it from there."""
    text = f"Written to {folder}; nothing was sent."
    if not (ROOT / "tests" / "support" / "run_space.py").is_file():
        return text
    command = ["python", "-m", "tests.support.run_space", str(folder), "--into", "EMPTY_FOLDER"]
    command += [word for variable in variables for word in ("--variable", variable)]
    return f"{text} Run it here: {shlex.join(command)}"

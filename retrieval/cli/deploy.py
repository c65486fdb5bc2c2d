"""Deploy the page as a Space on the Hugging Face Hub, or as a static site.

Shows what is uploaded and how large it is, creates or updates the Space with its bundle and
checkpoint in one commit, sets its variables and prints its address. Needs a token (`hf auth
login`) and, for a new Space, a paid plan of the Hub. --dry-run writes everything to a folder and
sends nothing.

--static writes a site that needs no server: the search runs in the visitor's browser. A static
Space is free; --out writes the site to a folder for GitHub Pages or any other web server. Needs
npm, and the packages of pip install '.[static]'.

reaction-search deploy me/reactions
reaction-search deploy me/reactions --static
reaction-search deploy --static --out public
reaction-search deploy me/reactions --bundle hf://datasets/me/my-gifs
reaction-search deploy me/reactions --bundle index/mine --dry-run /tmp/space
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.cli.console import UsageError, print_upload, print_upload_json, progress_bar
from retrieval.hub import check_repo_id, is_address, upload
from retrieval.output import require_empty
from retrieval.paths import ROOT, STARTER
from retrieval.publishing import assemble, write, write_files

if TYPE_CHECKING:
    from retrieval.site import Site

DRY_RUN = Path("artifacts") / "space"
PICTURES = ("media", "rendition", "still")  # one line each: a site has thousands


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("repo_id", nargs="?", metavar="OWNER/NAME", help="the Space's repository on the Hub")
    add("--static", action="store_true", help="a site that searches in the visitor's browser")
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="with --static, write the site here instead: a new path, an empty folder, or an "
        "earlier site",
    )
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
    if args.out and (args.repo_id or args.dry_run or not args.static):
        raise UsageError("--out goes with --static, without OWNER/NAME and --dry-run")
    if not args.out:
        if not args.repo_id:
            raise UsageError("name the Space, OWNER/NAME, or a folder: --static --out FOLDER")
        check_repo_id(args.repo_id)
    if args.static:
        if args.torch or args.no_bake:
            raise UsageError("--torch and --no-bake are not for --static, which has no server")
        deploy_static(args)
        return
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


def deploy_static(args: argparse.Namespace) -> None:
    """Write the site, show its files, and put it where it was asked for."""
    from retrieval.search import Searcher  # the page's own packages, which a Docker Space's
    from retrieval.site import write_folder, written  # deployment does without

    if args.dry_run:
        require_empty(args.dry_run)
    searcher = Searcher.open(args.bundle, checkpoint=args.model or "")
    address = None
    if args.out:
        with progress_bar("pictures", "GIF") as progress:
            site = write_folder(searcher, args.out, progress)
        report_site(site, address, as_json=args.json)
    else:
        with ExitStack() as stack:
            with progress_bar("pictures", "GIF") as progress:
                site, files = stack.enter_context(written(searcher, progress))
            if not args.json:
                report_site(site, address, as_json=False)
            if args.dry_run:
                write_files(files, args.dry_run)
            else:
                address = upload(
                    args.repo_id,
                    "space",
                    files,
                    message=f"Serve {searcher.collection.name}",
                    private=args.private,
                    space_sdk="static",
                )
        if args.json:
            report_site(site, address, as_json=True)
    if not args.json:
        print(address or f"Written to {args.out or args.dry_run}; nothing was sent.")


def report_site(site: Site, address: str | None, *, as_json: bool) -> None:
    """Print each file's size, pictures as one line a kind, and how well the model agrees."""
    sizes = {name: int(facts["bytes"]) for name, facts in site.files.items()}
    for warning in site.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    if as_json:
        facts = {"address": address, "files": sizes, "agreement": asdict(site.agreement)}
        print(json.dumps(facts, ensure_ascii=False))
        return
    groups: dict[str, list[int]] = {}
    for name, size in sizes.items():
        kind = name.partition("/")[0]
        groups.setdefault(f"{kind}/ …" if kind in PICTURES else name, []).append(size)
    print(f"{'file':<52} {'files':>6} {'MB':>9}")
    for name, found in groups.items():
        print(f"{name:<52} {len(found):>6,} {sum(found) / 1e6:>9.3f}")
    print(f"{'in all':<52} {len(sizes):>6,} {sum(sizes.values()) / 1e6:>9.3f}")
    print(site.agreement)


def dry_run_text(folder: Path, variables: list[str]) -> str:
    """Where the Space was written to and, in a checkout, the command that runs it from there."""
    text = f"Written to {folder}; nothing was sent."
    if not (ROOT / "tests" / "support" / "run_space.py").is_file():
        return text
    command = ["python", "-m", "tests.support.run_space", str(folder), "--into", "EMPTY_FOLDER"]
    command += [word for variable in variables for word in ("--variable", variable)]
    return f"{text} Run it here: {shlex.join(command)}"

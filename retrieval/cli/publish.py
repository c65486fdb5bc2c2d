"""Publish an index bundle or a checkpoint on the Hugging Face Hub.

The repository OWNER/NAME is created if it does not exist; one commit makes it hold the bundle
or the checkpoint, and nothing else. Writing needs a token: `hf auth login`, or HF_TOKEN.

reaction-search publish bundle index/mine OWNER/gifs
reaction-search search "thank you!" --index hf://datasets/OWNER/gifs

reaction-search publish checkpoint local-dir:artifacts/mine OWNER/clip
reaction-search build my-gifs/ --out index/mine --model hf-hub:OWNER/clip
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from retrieval.cli.console import described, print_upload, print_upload_json
from retrieval.hub import check_repo_id, upload
from retrieval.publishing import Publication, bundle_files, checkpoint_files

BUNDLE = """Publish an index bundle as a data set with a data card.

Whoever may read the repository opens it by its address: hf://datasets/OWNER/NAME.
"""
CHECKPOINT = """Publish a checkpoint, in the layout that open_clip loads.

It contains the settings, the tokenizer, all weights in one safetensors file, the exported
towers for serving without torch, and the model card. open_clip and `reaction-search build`
load it as hf-hub:OWNER/NAME.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", metavar="bundle|checkpoint", required=True)
    bundle, checkpoint = (
        commands.add_parser(name, help=doc.partition("\n")[0], **described(doc))
        for name, doc in (("bundle", BUNDLE), ("checkpoint", CHECKPOINT))
    )
    bundle.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle's folder")
    checkpoint.add_argument("checkpoint", metavar="CHECKPOINT", help="mini or local-dir:PATH")
    for command in (bundle, checkpoint):
        command.add_argument("repo_id", metavar="OWNER/NAME", help="the repository on the Hub")
        command.add_argument("--private", action="store_true", help="make a new repository private")
        command.add_argument(
            "--dry-run", action="store_true", help="show what would be uploaded, send nothing"
        )
        command.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> None:
    check_repo_id(args.repo_id)
    if args.what == "bundle":
        publication = bundle_files(args.bundle, args.repo_id)
        publish(publication, "dataset", f"Index bundle {args.bundle.name}", args)
        return
    with tempfile.TemporaryDirectory() as staging:
        publication = checkpoint_files(args.checkpoint, args.repo_id, Path(staging))
        publish(publication, "model", f"Checkpoint {args.checkpoint.rpartition('/')[2]}", args)


def publish(
    publication: Publication, repo_type: str, message: str, args: argparse.Namespace
) -> None:
    """Show an upload and, unless it is a dry run, send it; then print its address."""
    files, address = publication.files, None
    if not args.json:
        print_upload(files)
    for warning in publication.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    if not args.dry_run:
        address = upload(args.repo_id, repo_type, files, message=message, private=args.private)
    if args.json:
        print_upload_json(files, address)
    else:
        print(address or "Dry run: nothing was sent to the Hub.")

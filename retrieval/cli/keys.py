"""Create, list and revoke keys of the HTTP API.

A key is shown once; only its SHA-256 is stored, in the data folder. A running server sees a
change at the next request. Keys are asked for where the server runs with
REACTION_API_KEYS=required.

reaction-search keys create "chat of the office"
reaction-search keys list
reaction-search keys revoke "chat of the office"
"""

from __future__ import annotations

import argparse
from pathlib import Path

from retrieval.api.keys import create_key, read_keys, revoke_key
from retrieval.cli.console import UsageError
from retrieval.web.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("action", choices=("create", "list", "revoke"), help="what to do")
    add("name", nargs="?", metavar="NAME", help="of the key, to create or revoke it")
    add(
        "--data",
        type=Path,
        default=Settings.read().data,
        metavar="FOLDER",
        help="folder of the keys, REACTION_DATA",
    )


def execute(args: argparse.Namespace) -> None:
    if args.action == "list":
        if args.name is not None:
            raise UsageError("list takes no NAME")
        keys = read_keys(args.data)
        for key in keys:
            print(f"{key.created[:10]}  {key.name}")
        if not keys:
            print("No keys. Create one: reaction-search keys create NAME")
        return
    if args.name is None:
        raise UsageError(f"{args.action} needs the NAME of a key")
    if args.action == "create":
        print(create_key(args.data, args.name))
    else:
        revoke_key(args.data, args.name)
        print(f"Revoked: {args.name}")

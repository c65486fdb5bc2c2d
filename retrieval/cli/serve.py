"""Serve the page, where people search and upload.

Runs `streamlit run app.py`. Options left out keep the REACTION_… and STREAMLIT_… environment
variables, which docs/settings.md lists.

reaction-search serve --index index/mine --port 8501
reaction-search serve --index hf://datasets/OWNER/NAME --address 0.0.0.0
"""

from __future__ import annotations

import argparse
import os

from retrieval.paths import ROOT


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--index",
        metavar="BUNDLE",
        help="a folder, or hf://datasets/OWNER/NAME[@REVISION]; REACTION_INDEX (the starter "
        "library if neither is given)",
    )
    add(
        "--checkpoint",
        metavar="PRESET|NAME",
        help="another source of the bundle's checkpoint than the one its manifest names; "
        "REACTION_CHECKPOINT",
    )
    add("--port", type=int, metavar="N", help="port to listen on; Streamlit's own default is 8501")
    add("--address", metavar="HOST", help="address to listen on; Streamlit listens on all")


def execute(args: argparse.Namespace) -> None:
    for name, value in (("INDEX", args.index), ("CHECKPOINT", args.checkpoint)):
        if value is not None:
            os.environ[f"REACTION_{name}"] = value
    command = ["run", str(ROOT / "app.py")]
    if args.port is not None:
        command += ["--server.port", str(args.port)]
    if args.address is not None:
        command += ["--server.address", args.address]
    # In this process, so that signals reach the server on every system.
    from streamlit.web.cli import main as streamlit

    streamlit(command, prog_name="streamlit")

"""Serve the page, where people search and upload.

Runs `streamlit run app.py`; the same server answers the HTTP API. With --api-only it is the API
alone, without Streamlit: it starts sooner, and takes less memory. Options
left out keep the REACTION_… and STREAMLIT_… environment variables, which docs/settings.md lists.

reaction-search serve --index index/mine --port 8501
reaction-search serve --index hf://datasets/OWNER/NAME --address 0.0.0.0
reaction-search serve --api-only --port 8502
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from contextlib import suppress

from retrieval.paths import ROOT

M_ARENA_MAX = -8  # of glibc's malloc.h


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
    add(
        "--address",
        metavar="HOST",
        help="address to listen on; Streamlit listens on all, --api-only on 127.0.0.1",
    )
    add("--api-only", action="store_true", help="serve the HTTP API without the page")
    add(
        "--verify",
        action="store_true",
        help="first read every file of the index again and compare its hash, also of those that "
        "were checked when it was opened before",
    )


def execute(args: argparse.Namespace) -> None:
    for name, value in (("INDEX", args.index), ("CHECKPOINT", args.checkpoint)):
        if value is not None:
            os.environ[f"REACTION_{name}"] = value
    if args.api_only:
        serve_api(args.address or "127.0.0.1", args.port or 8501, verify=args.verify)
        return
    if args.verify:
        _verify()
    command = ["run", str(ROOT / "app.py")]
    if args.port is not None:
        command += ["--server.port", str(args.port)]
    if args.address is not None:
        command += ["--server.address", args.address]
    # In this process, so that signals reach the server on every system.
    from streamlit.web.cli import main as streamlit

    streamlit(command, prog_name="streamlit")


def _verify() -> None:
    from retrieval.cli.console import print_verification
    from retrieval.web.settings import current_settings

    print_verification(current_settings().index)


def serve_api(address: str, port: int, *, verify: bool = False) -> None:
    """Run the API's own server until it is stopped. SettingsError if a setting is invalid."""
    # Before NumPy and Arrow are imported. BLAS would start a thread per core for each search, and
    # searches run side by side already; Arrow's own allocator keeps 20 MB of what was read.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    _use_few_arenas()
    if verify:
        _verify()
    from retrieval.web.loader import loading
    from retrieval.web.settings import current_settings

    settings = current_settings()
    loading(settings.index, settings.checkpoint, pictures=False)  # while the rest is imported
    import uvicorn

    from retrieval.api.application import create_app

    # No access log: addresses have API keys and messages in them.
    uvicorn.run(create_app(), host=address, port=port, access_log=False, server_header=False)


def _use_few_arenas() -> None:
    """Let glibc's threads share two heaps: by default each has its own, which costs 20 MB here."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)

"""Dispatch `reaction-search VERB …` to the module of the verb.

argparse rather than Typer: its import takes 10 ms instead of 50, help texts come from the
docstrings and defaults either way, and it adds no dependency. Only the module of the verb that
runs is imported, so `reaction-search --help` loads no library.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

import retrieval
from retrieval.cli.console import PROGRAM, UsageError, exit_on_error, parser_for
from retrieval.errors import RetrievalError

# The first sentence of each verb's docstring, here so that --help imports none of them.
VERBS = {
    "search": "Find the reactions that answer a message, a picture, or both.",
    "build": "Build or update an index bundle from GIFs, pictures and short films.",
    "serve": "Serve the page, where people search and upload.",
    "evaluate": "Measure how well the checkpoint finds reactions.",
    "ablate": "Measure each signal alone, each left out, and each fusion.",
    "compare": "Compare two runs over the same judgements.",
    "train": "Train the `mini` checkpoint from emoji art, names and chat messages.",
    "export": "Export a checkpoint, to search without torch and to encode faster on a CPU.",
    "publish": "Publish an index bundle or a checkpoint on the Hugging Face Hub.",
    "deploy": "Deploy the page as a Space on the Hugging Face Hub, or as a static site.",
    "keys": "Create, list and revoke keys of the HTTP API.",
    "feedback": "Summarize the votes that people cast on reactions.",
}

# The extra that installs a package which the base installation lacks.
EXTRAS = {
    "torch": "torch",
    "torchvision": "torch",
    "open_clip": "torch",
    "transformers": "torch",
    "timm": "torch",
    "datasets": "hub",
    "ir_measures": "evaluate",
    "matplotlib": "evaluate",
    "scipy": "evaluate",
    "nncf": "train",
    "resvg_py": "train",
    "onnx": "static",
    "onnxruntime": "static",
    "onnxscript": "static",
}


def main(argv: Sequence[str] | None = None, *, verb: Sequence[str] = ()) -> None:
    """Run the command line with `argv` (by default, that of the process), after `verb`."""
    argv = [*verb, *(sys.argv[1:] if argv is None else argv)]
    if not argv or argv[0] not in VERBS:
        overview_parser().parse_args(argv or ["--help"])
        return
    name = argv[0]
    module = verb_module(name)
    parser = verb_parser(name, module)
    args = parser.parse_args(argv[1:])
    with exit_on_error():
        try:
            module.execute(args)
        except UsageError as error:
            parser.error(str(error))
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS:
                raise
            extra = "train" if name == "train" else EXTRAS[package]
            raise RetrievalError(
                f"{PROGRAM} {name} needs the package {package}, which is not installed. Install "
                f"it, in the project's folder: pip install '.[{extra}]'"
            ) from error


def overview_parser() -> argparse.ArgumentParser:
    """The parser of `reaction-search` itself: it lists the verbs."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Type a message, get the reaction GIFs that answer it.",
        epilog=f"{PROGRAM} VERB --help describes a verb and its options.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {retrieval.__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb, summary in VERBS.items():
        verbs.add_parser(verb, help=summary)
    return parser


def verb_module(verb: str) -> ModuleType:
    """The module of a verb: `configure(parser)` adds its options, `execute(args)` runs it."""
    return importlib.import_module(f"retrieval.cli.{verb}")


def verb_parser(verb: str, module: ModuleType) -> argparse.ArgumentParser:
    """The parser of one verb, described by its module's docstring."""
    parser = parser_for(module.__doc__ or "", f"{PROGRAM} {verb}")
    module.configure(parser)
    return parser

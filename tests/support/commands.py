"""Write docs/commands.md from the command line's own parsers.

python -m tests.support.commands

A test compares the file with the parsers. The tables are made here rather than taken from
--help, whose layout differs between versions of Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from retrieval.cli.dispatch import VERBS, verb_module, verb_parser
from retrieval.paths import ROOT

FILE = ROOT / "docs" / "commands.md"
HEADER = """# Commands

`reaction-search VERB …`; `reaction-search VERB --help` prints the same as below. This page is
generated: `python -m tests.support.commands` writes it again.
"""


def reference() -> str:
    """The text of docs/commands.md."""
    parts = [HEADER, _verb_table()]
    for verb in VERBS:
        parts += _sections(verb_parser(verb, verb_module(verb)), "##")
    return "\n".join(parts)


def _verb_table() -> str:
    rows = [f"| [`{verb}`](#reaction-search-{verb}) | {text} |" for verb, text in VERBS.items()]
    return "\n".join(["| verb | purpose |", "|---|---|", *rows, ""])


def _sections(parser: argparse.ArgumentParser, level: str) -> Iterator[str]:
    yield f"{level} {parser.prog}\n\n{parser.description}\n"
    for paragraph in (parser.epilog or "").strip().split("\n\n"):
        if paragraph.startswith("reaction-search"):
            yield f"```sh\n{paragraph}\n```\n"
        elif paragraph:
            yield f"{paragraph}\n"
    subparsers: dict[str, argparse.ArgumentParser] = {}
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            subparsers = action.choices
        elif not isinstance(action, argparse._HelpAction):
            rows.append(_row(action))
    if rows:
        yield "\n".join(["| argument | default | meaning |", "|---|---|---|", *rows, ""])
    for subparser in subparsers.values():
        yield from _sections(subparser, f"{level}#")


def _row(action: argparse.Action) -> str:
    choices = f"{{{','.join(map(str, action.choices))}}}" if action.choices else ""
    names = ", ".join(action.option_strings)
    argument = f"{names} {action.metavar or choices}".strip().replace("|", "\\|")
    meaning = " ".join((action.help or "").split()).replace("|", "\\|")
    return f"| `{argument}` | {_default(action.default)} | {meaning} |"


def _default(value: object) -> str:
    if value is None or value is False:
        return ""
    path = Path(str(value))
    if path.is_relative_to(ROOT):
        return f"`{path.relative_to(ROOT).as_posix()}`"
    if path.is_absolute():
        return "the user's data folder"
    return f"`{path.as_posix() if isinstance(value, Path) else value}`"


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")

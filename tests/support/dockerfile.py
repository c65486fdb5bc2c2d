"""A Dockerfile as a list of instructions: what space/Dockerfile uses of the language, no more.

One stage, no heredocs, numbers for users. What is not understood is an error and never
passed over, for whoever follows the steps would then follow others than Docker.
Reference: Docker's "Dockerfile reference".
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from retrieval.errors import SpaceError

# The flags that each instruction may have.
KNOWN: dict[str, tuple[str, ...]] = {
    "FROM": (),
    "ARG": (),
    "ENV": (),
    "WORKDIR": (),
    "COPY": ("chown",),
    "RUN": (),
    "USER": (),
    "EXPOSE": (),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
    "CMD": (),
    "ENTRYPOINT": (),
}
COMMANDS = ("RUN", "CMD", "ENTRYPOINT")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")
_FLAG = re.compile(r"--([\w-]+)=(\S+)\s+")


@dataclass(frozen=True)
class Instruction:
    """One instruction. `words` are its arguments; a command's are ready to be executed."""

    name: str
    words: tuple[str, ...]
    line: int  # from 1
    flags: Mapping[str, str] = field(default_factory=dict)

    def pairs(self) -> Iterator[tuple[str, str | None]]:
        """(name, value) of each argument of ENV or ARG; None for an ARG without a default."""
        for word in self.words:
            name, equals, value = word.partition("=")
            yield name, value if equals else None


def parse(text: str) -> list[Instruction]:
    """The instructions in order; SpaceError names the line that is not understood."""
    found = [_instruction(line, text) for line, text in _joined_lines(text)]
    stages = [one for one in found if one.name == "FROM"]
    if len(stages) != 1:
        line = stages[1].line if stages else 1
        raise _not_understood(line, f"{len(stages)} FROM", "one stage, so one FROM")
    for one in found[: found.index(stages[0])]:
        if one.name != "ARG":
            raise _not_understood(one.line, f"{one.name} before FROM", "ARG or FROM")
    return found


def expand(word: str, values: Mapping[str, str]) -> str:
    """The word with $NAME, ${NAME}, ${NAME:-default} and ${NAME:+alternative} filled in.

    >>> expand("/opt/venv/bin:$PATH", {"PATH": "/bin"})
    '/opt/venv/bin:/bin'
    >>> expand("${PORT:-8501}${TORCH:+, with torch}", {"TORCH": ""})
    '8501'
    """

    def value(match: re.Match[str]) -> str:
        name, braced, sign, other = match.groups()
        known = values.get(name or braced, "")
        if sign == "-":
            return known or other
        return (other if known else "") if sign == "+" else known

    return _VARIABLE.sub(value, word)


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """(number of its first line, the whole line), comments gone, continued lines joined."""
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            if re.match(r"#\s*escape\s*=", line.lstrip()):
                raise _not_understood(number, line.strip(), "the backslash as escape")
            continue
        if not line.strip():
            continue
        start = start if pending else number
        pending += line.rstrip()
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
        else:
            yield start, pending.strip()
            pending = ""
    if pending:
        raise _not_understood(start, pending.strip(), "a line after the last backslash")


def _instruction(line: int, text: str) -> Instruction:
    name, _, rest = text.partition(" ")
    name, rest = name.upper(), rest.strip()
    if name not in KNOWN:
        raise _not_understood(line, name, f"one of {', '.join(KNOWN)}")
    if not rest:
        raise _not_understood(line, f"{name} without an argument", "at least one")
    if "<<" in rest:
        raise _not_understood(line, "a heredoc", "the command itself")
    flags: dict[str, str] = {}
    while match := _FLAG.match(rest):
        if match[1] not in KNOWN[name]:
            allowed = ", ".join(f"--{flag}" for flag in KNOWN[name]) or "no flag"
            raise _not_understood(line, f"{name} --{match[1]}", allowed)
        flags[match[1]] = match[2]
        rest = rest[match.end() :]
    if rest.startswith("--"):
        raise _not_understood(line, rest.split()[0], f"a flag of {name} with its value")
    if name == "HEALTHCHECK":
        kind, _, rest = rest.partition(" ")
        if kind.upper() != "CMD":
            raise _not_understood(line, f"HEALTHCHECK {kind}", "HEALTHCHECK CMD")
    return Instruction(name, _words(name, rest.strip(), line), line, flags)


def _words(name: str, rest: str, line: int) -> tuple[str, ...]:
    if rest.startswith("["):
        try:
            words = json.loads(rest)
        except ValueError as error:
            raise _not_understood(line, rest, "a JSON list of words") from error
        return tuple(map(str, words))
    if name in COMMANDS or name == "HEALTHCHECK":
        return ("/bin/sh", "-c", rest)
    if "'" in rest:  # Docker would leave variables in it alone
        raise _not_understood(line, "single quotes", "double quotes")
    words = tuple(shlex.split(rest))
    if name == "ENV" and not all("=" in word for word in words):
        raise _not_understood(line, f"ENV {rest}", "NAME=VALUE")
    return words


def _not_understood(line: int, found: str, expected: str) -> SpaceError:
    return SpaceError(
        f"Line {line} of the Dockerfile: {found} is not understood; expected {expected}. Teach "
        f"tests/support/dockerfile.py, or write it otherwise."
    )

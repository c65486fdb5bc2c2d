"""What people say of the reactions they got: kept as lines of a file, read back, counted.

    DATA/votes.jsonl    a vote a line, appended as it is given

Kept is what was asked, in words, and which GIF does or does not answer it: nothing of who
asked, no address, no session, no picture. Nothing is trained or ranked by it here.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from retrieval.errors import FeedbackError

VOTES = "votes.jsonl"
MAX_BYTES = 50_000_000  # of that file: some 100,000 votes, whatever a busy or hostile crowd does
WORST = 10  # messages that a summary names


@dataclass(frozen=True)
class Vote:
    """Whether one GIF fits what was asked, and how the search came to show it.

    `when` is the moment of the first answer. Who changes their mind is kept as another line
    with the same `when`, `message` and `gif_id`: of such lines, the last counts. Two people
    hardly share a microsecond, so that neither overrules the other, and none needs a name; the
    same person on another visit is another voter.
    """

    when: str  # UTC, ISO 8601, to the microsecond
    message: str  # what was asked (in_words)
    gif_id: str
    title: str
    rank: int  # from 1
    score: float  # cosine
    fits: bool
    fingerprint: str  # of the checkpoint
    bundle: str  # its name
    pooling: str


@dataclass(frozen=True)
class Kept:
    """What was read back: the votes that count, by the time of their last line, and the damage."""

    votes: Sequence[Vote]
    damaged: Sequence[str]  # a sentence for each line that is no vote


@dataclass(frozen=True)
class Tally:
    """Votes that have something in common."""

    of: Mapping[str, str | int]  # what that is
    n_votes: int
    n_fit: int

    @property
    def share(self) -> float:
        """The share that fit, from 0 to 1; 0 of none."""
        return self.n_fit / self.n_votes if self.n_votes else 0.0


@dataclass(frozen=True)
class Summary:
    """What votes say. They are of what people chose to look at: no share is a hit rate."""

    total: Tally
    by_rank: Sequence[Tally]  # from the first rank on
    by_search: Sequence[Tally]  # by bundle, checkpoint and pooling, most votes first
    worst: Sequence[Tally]  # the messages with the most misses, at most WORST


def now() -> str:
    """The moment, as a vote has it."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def in_words(
    messages: Iterable[str] = (), *, negative: str = "", picture: bool = False, like: str = ""
) -> str:
    """What was asked as one text: messages a line each, then what else there was.

    A picture is only mentioned, for there may be people in it; `like` is the title of a GIF
    of the library.

    >>> in_words(["so tired"], negative="angry", picture=True)
    'so tired (a picture) (not: angry)'
    >>> in_words(like="crying face")
    '(like: crying face)'
    """
    notes = [
        "(a picture)" if picture else "",
        f"(like: {like})" if like else "",
        f"(not: {negative})" if negative else "",
    ]
    return " ".join(part for part in ["\n".join(messages), *notes] if part)


def keep_vote(data: Path, vote: Vote) -> None:
    """Append a vote to the file in `data`; the folder is made, the file is its owner's to read.

    Many processes may do so at once. FeedbackError if the folder cannot be written to, or the
    file has grown to MAX_BYTES.
    """
    line = (json.dumps(asdict(vote), ensure_ascii=False) + "\n").encode()
    path = data / VOTES
    try:
        data.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _append(descriptor, line, path)
        finally:
            os.close(descriptor)  # and with it the lock
    except OSError as error:
        raise FeedbackError(
            f"The answer cannot be kept in {data} ({error.strerror or error}). Set REACTION_DATA "
            f"to a folder that can be written to, with space on its disk."
        ) from error


def _append(descriptor: int, line: bytes, path: Path) -> None:
    """The whole line or nothing, behind whatever is there."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line  # a writer died within the line before: damage stays on its own line
    if size + len(line) > MAX_BYTES:
        raise FeedbackError(
            f"The answer was not kept: {path} has {size / 1e6:.1f} MB, and "
            f"{MAX_BYTES / 1e6:.0f} MB is the most it may have. Move it away; a new one begins: "
            f"mv {path} {path.with_name(f'{now()[:10]}-{VOTES}')}"
        )
    written = os.write(descriptor, line)
    if written < len(line):
        os.ftruncate(descriptor, size)
        raise OSError(f"{written} of {len(line)} bytes fit on the disk")


def read_votes(data: Path) -> Kept:
    """The votes that count in a folder, and what of its file is damaged.

    Where people changed their minds, their last line is the one. FeedbackError if there is
    no file, or it cannot be read.
    """
    path = data / VOTES
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise FeedbackError(
            f"No votes in {data}. They are asked for where the page runs with "
            f"REACTION_FEEDBACK=on, and kept in the folder that REACTION_DATA names."
        ) from error
    except OSError as error:
        raise FeedbackError(
            f"{path} cannot be read ({error.strerror}). Name the folder with the votes: --data"
        ) from error
    votes: dict[tuple[str, str, str], Vote] = {}
    damaged = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            vote = _parse(line)
        except ValueError as error:
            damaged.append(f"{path}, line {number} is no vote ({error}).")
            continue
        key = (vote.when, vote.message, vote.gif_id)
        votes.pop(key, None)
        votes[key] = vote
    return Kept(list(votes.values()), damaged)


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (float, int), "bool": (bool,),
}  # fmt: skip


def _parse(line: bytes) -> Vote:
    """ValueError unless the line is a vote: JSON with these fields, each of its type."""
    row: Any = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("no JSON object")
    for field in fields(Vote):
        value = row.get(field.name)
        if type(value) not in _TYPES[str(field.type)]:  # isinstance takes true for an int
            raise ValueError(f"{field.name} is {value!r}; expected {field.type}")
    return Vote(**{field.name: row[field.name] for field in fields(Vote)})


def summarize(votes: Sequence[Vote]) -> Summary:
    """Count the votes: all, by rank, by what searched, and where they missed most."""
    by_message = _tally(votes, lambda vote: {"message": vote.message})
    by_search = _tally(
        votes,
        lambda vote: {
            "bundle": vote.bundle, "fingerprint": vote.fingerprint, "pooling": vote.pooling,
        },
    )  # fmt: skip
    missed = [tally for tally in by_message if tally.n_fit < tally.n_votes]
    missed.sort(key=lambda tally: (tally.n_fit - tally.n_votes, tally.share))
    return Summary(
        total=Tally({}, len(votes), sum(vote.fits for vote in votes)),
        by_rank=sorted(_tally(votes, lambda vote: {"rank": vote.rank}), key=lambda t: t.of["rank"]),
        by_search=sorted(by_search, key=lambda tally: -tally.n_votes),
        worst=missed[:WORST],
    )


def _tally(votes: Iterable[Vote], common: Callable[[Vote], Mapping[str, str | int]]) -> list[Tally]:
    """A tally for each thing that votes have in common, in the order of the votes."""
    groups: dict[tuple[str | int, ...], list[Vote]] = {}
    for vote in votes:
        groups.setdefault(tuple(common(vote).values()), []).append(vote)
    return [
        Tally(common(group[0]), len(group), sum(vote.fits for vote in group))
        for group in groups.values()
    ]

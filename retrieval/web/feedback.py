"""Visitors' votes on results: append to a file, read, summarize.

    DATA/votes.jsonl    one vote per line

A vote stores the question as text and whether one GIF answers it. It stores nothing about
the visitor: no address, no session, no picture. Votes do not change the ranking.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import lock_descriptor

from retrieval.errors import FeedbackError

VOTES = "votes.jsonl"
MAX_BYTES = 50_000_000  # of the file: about 100,000 votes, so that no crowd fills the disk
WORST = 10  # messages in a summary
LOCK_POLL_S = 0.01  # between two attempts to lock the file


@dataclass(frozen=True)
class Vote:
    """Whether one GIF answers a question, and the search that ranked it.

    A changed answer is another line with the same `when`, `message` and `gif_id`; of those the
    last one counts. `when`, to the microsecond, stands in for the voter's identity: two voters
    practically never share it. The same person on another visit is another voter.
    """

    when: str  # of the first answer: UTC, ISO 8601, with microseconds
    message: str  # the question as text (question_as_text)
    gif_id: str
    title: str
    rank: int  # from 1
    score: float  # as in Result: a probability, or the cosine of frames alone
    fits: bool
    fingerprint: str  # of the checkpoint
    bundle: str  # its name
    pooling: str


@dataclass(frozen=True)
class VoteLog:
    """The contents of a votes file: the valid votes in file order, and the damaged lines."""

    votes: Sequence[Vote]
    damaged: Sequence[str]  # one sentence per line that is not a vote


@dataclass(frozen=True)
class Tally:
    """The number of votes in a group, and of those that fit."""

    of: Mapping[str, str | int]  # the values that define the group
    n_votes: int
    n_fit: int

    @property
    def share(self) -> float:
        """The share of votes that fit, 0 to 1; 0 if there are none."""
        return self.n_fit / self.n_votes if self.n_votes else 0.0


@dataclass(frozen=True)
class Summary:
    """Votes by rank, search and message.

    People vote on results that they chose to look at, so no share here is a hit rate.
    """

    total: Tally
    by_rank: Sequence[Tally]  # rank 1 first
    by_search: Sequence[Tally]  # by bundle, checkpoint and pooling, most votes first
    worst: Sequence[Tally]  # messages with the most misses, at most WORST


def timestamp() -> str:
    """The current time, for `Vote.when`."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def question_as_text(
    messages: Iterable[str] = (), *, negative: str = "", picture: bool = False, like: str = ""
) -> str:
    """A question as text: one message per line, then notes on the rest of the question.

    A picture is only mentioned, because it may show people; `like` is the title of a GIF of
    the library.

    >>> question_as_text(["so tired"], negative="angry", picture=True)
    'so tired (a picture) (not: angry)'
    >>> question_as_text(like="crying face")
    '(like: crying face)'
    """
    notes = [
        "(a picture)" if picture else "",
        f"(like: {like})" if like else "",
        f"(not: {negative})" if negative else "",
    ]
    return " ".join(part for part in ["\n".join(messages), *notes] if part)


def save_vote(data: Path, vote: Vote) -> None:
    """Append a vote to the file in `data`, creating both; only the owner may read the file.

    Safe to call from several processes at once. FeedbackError if the folder is not writable
    or the file has reached MAX_BYTES.
    """
    line = (json.dumps(asdict(vote), ensure_ascii=False) + "\n").encode()
    path = data / VOTES
    try:
        data.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            _append(descriptor, line, path)
        finally:
            os.close(descriptor)  # releases the lock
    except OSError as error:
        raise FeedbackError(
            f"The answer cannot be kept in {data} ({error.strerror or error}). Set REACTION_DATA "
            f"to a writable folder on a disk with free space."
        ) from error


def _append(descriptor: int, line: bytes, path: Path) -> None:
    """Append the whole line, or nothing."""
    lock_descriptor(descriptor, poll_interval=LOCK_POLL_S)
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size:
        os.lseek(descriptor, size - 1, os.SEEK_SET)
        if os.read(descriptor, 1) != b"\n":
            line = b"\n" + line  # a writer died within the last line: keep the damage on that line
    if size + len(line) > MAX_BYTES:
        raise FeedbackError(
            f"The answer was not kept: {path} has {size / 1e6:.1f} MB, and "
            f"{MAX_BYTES / 1e6:.0f} MB is the most it may have. Move it away to start a new one: "
            f"mv {path} {path.with_name(f'{timestamp()[:10]}-{VOTES}')}"
        )
    written = os.write(descriptor, line)
    if written < len(line):
        os.ftruncate(descriptor, size)
        raise OSError(f"{written} of {len(line)} bytes fit on the disk")


def read_votes(data: Path) -> VoteLog:
    """Read the votes file of a folder; of a changed answer, the last line counts.

    FeedbackError if there is no file, or it cannot be read.
    """
    path = data / VOTES
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise FeedbackError(
            f"No votes in {data}. The page collects votes when it is served with "
            f"REACTION_FEEDBACK=on, in the folder that REACTION_DATA names."
        ) from error
    except OSError as error:
        raise FeedbackError(
            f"{path} cannot be read ({error.strerror}). Pass the folder with the votes: --data"
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
    return VoteLog(list(votes.values()), damaged)


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (float, int), "bool": (bool,),
}  # fmt: skip


def _parse(line: bytes) -> Vote:
    """Parse a line. ValueError unless it is a JSON object with a vote's fields and types."""
    row: Any = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("no JSON object")
    for field in fields(Vote):
        value = row.get(field.name)
        if type(value) not in _TYPES[str(field.type)]:  # isinstance(True, int) is true
            raise ValueError(f"{field.name} is {value!r}; expected {field.type}")
    return Vote(**{field.name: row[field.name] for field in fields(Vote)})


def summarize(votes: Sequence[Vote]) -> Summary:
    """Count the votes: in total, by rank, by search, and the messages with the most misses."""
    by_message = _tally(votes, "message")
    by_search = _tally(votes, "bundle", "fingerprint", "pooling")
    missed = [tally for tally in by_message if tally.n_fit < tally.n_votes]
    missed.sort(key=lambda tally: (tally.n_fit - tally.n_votes, tally.share))
    return Summary(
        total=Tally({}, len(votes), sum(vote.fits for vote in votes)),
        by_rank=sorted(_tally(votes, "rank"), key=lambda t: t.of["rank"]),
        by_search=sorted(by_search, key=lambda tally: -tally.n_votes),
        worst=missed[:WORST],
    )


def _tally(votes: Iterable[Vote], *names: str) -> list[Tally]:
    """Group the votes by the values of these fields, in the order of their first vote."""
    groups: dict[tuple[str | int, ...], list[Vote]] = {}
    for vote in votes:
        groups.setdefault(tuple(getattr(vote, name) for name in names), []).append(vote)
    return [
        Tally(dict(zip(names, values, strict=True)), len(group), sum(vote.fits for vote in group))
        for values, group in groups.items()
    ]

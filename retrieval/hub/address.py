"""Addresses of repositories on the Hugging Face Hub.

    hf://datasets/OWNER/NAME@REVISION     a data set
    hf-hub:OWNER/NAME@REVISION            a model, as open_clip names it

REVISION is a branch, a tag or a commit; without it, the current default branch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import HubError

DATA_SETS = "hf://datasets/"
MODELS = "hf-hub:"

KINDS = {"model": "model", "dataset": "data set", "space": "Space"}
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Of an owner, and of a repository: as the Hub has it, so that neither -- nor .. is in it.
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_]|-(?!-)|\.(?!\.)){0,95}(?<![-.])"
_REPO = re.compile(rf"{_NAME}/{_NAME}(?<!\.git)")
_ADDRESS = re.compile(  # a Path has one slash where there were two
    rf"(?P<prefix>hf:/+datasets/|{MODELS})(?P<repo_id>{_REPO.pattern})(@(?P<revision>\S+))?"
)


@dataclass(frozen=True)
class Address:
    """A repository on the Hub, at a revision."""

    kind: str  # model, dataset or space
    repo_id: str  # OWNER/NAME
    revision: str = ""  # a branch, a tag or a commit; empty: the default branch

    @classmethod
    def parse(cls, text: str | Path) -> Address:
        """Parse a written address; HubError if it is malformed.

        >>> Address.parse("hf://datasets/me/gifs@v1")
        Address(kind='dataset', repo_id='me/gifs', revision='v1')
        >>> print(Address.parse("hf-hub:me/clip"))
        hf-hub:me/clip
        """
        match = _ADDRESS.fullmatch(str(text))
        if match is None:
            raise HubError(
                f"{text} is no address on the Hub. Expected {DATA_SETS}OWNER/NAME or "
                f"{MODELS}OWNER/NAME, and @REVISION behind it if not the newest is wanted."
            )
        kind = "model" if match["prefix"] == MODELS else "dataset"
        return cls(kind, match["repo_id"], match["revision"] or "")

    @property
    def is_commit(self) -> bool:
        """Whether the revision is a commit, whose files never change."""
        return _COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        prefix = DATA_SETS if self.kind == "dataset" else MODELS
        return f"{prefix}{self.repo_id}{f'@{self.revision}' if self.revision else ''}"


def check_repo_id(repo_id: str) -> str:
    """Return the repository's name unchanged; HubError unless the Hub allows it.

    >>> check_repo_id("me/re-act_ions.2")
    'me/re-act_ions.2'
    """
    if not _REPO.fullmatch(repo_id):
        raise HubError(
            f"{repo_id!r} is no name of a repository on the Hub. Expected OWNER/NAME, of letters, "
            f"digits, '-', '_' and '.'."
        )
    return repo_id


def is_address(where: str | Path) -> bool:
    """Whether this is an address of a data set on the Hub rather than a local path."""
    return str(where).startswith("hf:/")

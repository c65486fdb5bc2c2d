"""The Hugging Face Hub: addresses, files of a repository at one commit, uploads as one commit.

    hf://datasets/OWNER/NAME@REVISION     a data set      hf-hub:OWNER/NAME@REVISION     a model

REVISION is a branch, a tag or a commit; without it, the default branch as it is now. What is
pulled lies in huggingface_hub's own cache, and a commit that is there needs no network.

The one importer of huggingface_hub, and only where it is used: importing it takes 0.2 s. What
this module leaves out: what a repository holds, and whether that is what it should be
(retrieval.hub.verify).
"""

from __future__ import annotations

import errno
import glob
import logging
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

from retrieval.errors import HubError, HubOfflineError, RetrievalError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

DATA_SETS = "hf://datasets/"
MODELS = "hf-hub:"  # as open_clip names them
TIMEOUT_S = 10  # for the Hub's first answer; then what lies in the cache must do
N_CONNECTIONS = 8
KEPT = (".gitattributes",)  # the Hub's own, which an upload leaves alone

Progress = Callable[[int, int | None], None]  # (files done, files in all)
Files: TypeAlias = Mapping[str, Path | bytes]  # path in a repository → its content

_KINDS = {"model": "model", "dataset": "data set", "space": "Space"}
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
        """The address that a person wrote; HubError if it is none.

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

    def __str__(self) -> str:
        prefix = DATA_SETS if self.kind == "dataset" else MODELS
        return f"{prefix}{self.repo_id}{f'@{self.revision}' if self.revision else ''}"


def check_repo_id(repo_id: str) -> str:
    """The name of a repository as it was given; HubError unless the Hub could have it.

    >>> check_repo_id("me/re-act_ions.2")
    'me/re-act_ions.2'
    """
    if not _REPO.fullmatch(repo_id):
        raise HubError(
            f"{repo_id!r} is no name of a repository on the Hub. Expected OWNER/NAME, of letters, "
            f"digits, '-', '_' and '.'."
        )
    return repo_id


def size_of(content: Path | bytes) -> int:
    """How many bytes go up for one of `Files`."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def is_address(where: str | Path) -> bool:
    """Whether this is an address of a data set on the Hub, and no local path."""
    return str(where).startswith("hf:/")


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit: a folder with those of its files that were fetched."""

    address: Address
    commit: str
    folder: Path

    def fetch(
        self, names: Collection[str], progress: Progress | None = None, *, anew: bool = False
    ) -> None:
        """Bring the files into the folder; of those that are there nothing is asked.

        With `anew` they are downloaded again. HubError if one cannot be had; what was
        complete by then is kept, so that the next try goes on from there.
        """
        for name in names:
            if not stays_inside(name):
                raise HubError(
                    f"{self.address} names the file {name!r}, which is outside of it. It was not "
                    f"published by this program: do not use it."
                )
        wanted = [name for name in names if anew or not (self.folder / name).exists()]
        done = len(names) - len(wanted)
        if not wanted:
            return
        with _named_errors(self.address), _quiet(), ThreadPoolExecutor(N_CONNECTIONS) as pool:
            try:
                for _ in pool.map(lambda name: self._download(name, anew), wanted):
                    done += 1
                    if progress:
                        progress(done, len(names))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)  # one is enough to give up
                raise

    def _download(self, name: str, anew: bool) -> None:
        from huggingface_hub import hf_hub_download

        hf_hub_download(
            self.address.repo_id,
            name,
            repo_type=self.address.kind,
            revision=self.commit,
            force_download=anew,
        )

    def fetch_matching(self, patterns: Collection[str], ignored: Collection[str] = ()) -> None:
        """Bring in all files whose names match (as fnmatch has it, / like any character)."""
        from huggingface_hub import snapshot_download

        with _named_errors(self.address), _quiet():
            snapshot_download(
                self.address.repo_id,
                repo_type=self.address.kind,
                revision=self.commit,
                allow_patterns=list(patterns),
                ignore_patterns=list(ignored),
            )


def stays_inside(name: str) -> bool:
    """Whether a name is that of a file in the folder: relative, plain, never upwards.

    >>> [stays_inside(name) for name in ("media/a.gif", "../a.gif", "/a.gif", "a//b", "")]
    [True, False, False, False, False]
    """
    path = Path(name)  # of this system: C: and \\ mean something on some
    plain = PurePosixPath(name).as_posix() == name and bool(path.name)
    return plain and not path.anchor and ".." not in path.parts


def pull(address: Address, first: str) -> Snapshot | None:
    """The repository at the commit that the address means now, with the file `first` in it.

    None if it has no such file. A commit that is named and lies in the cache is taken without
    asking the Hub. A branch or a tag is asked for; if the Hub cannot be reached, it is what it
    was the last time. HubError says what is missing; HubOfflineError that only the network is.
    """
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache

    where: dict[str, Any] = {"repo_id": address.repo_id, "repo_type": address.kind}
    where["revision"] = address.revision or None
    with _named_errors(address), _quiet():
        cached = try_to_load_from_cache(filename=first, **where)
        kept = _snapshot_of(address, cached, first) if isinstance(cached, str) else None
        if kept and _COMMIT.fullmatch(address.revision):
            return kept
        try:
            commit = HfApi().repo_info(timeout=TIMEOUT_S, **where).sha
        except Exception as error:
            if kept and isinstance(_named(error, address), HubOfflineError):
                return kept
            raise
        if kept and kept.commit == commit:
            return kept
        # Notes in the cache what the revision is now, and what files there are, which spares
        # a request for each of those that the Hub keeps in Xet.
        folder = Path(snapshot_download(allow_patterns=[glob.escape(first)], **where))
        return Snapshot(address, folder.name, folder) if (folder / first).is_file() else None


def _snapshot_of(address: Address, file: str, name: str) -> Snapshot:
    folder = Path(file).parents[len(PurePosixPath(name).parts) - 1]
    return Snapshot(address, folder.name, folder)


def upload(
    repo_id: str,
    kind: str,
    files: Files,
    *,
    message: str,
    private: bool = False,
    space_sdk: str | None = None,
    variables: Mapping[str, str | None] | None = None,
) -> str:
    """Make `files` all that the repository holds; returns the address of its page.

    One commit; the repository is created if there is none. `variables` are a Space's, set
    before its files, so that it starts with them; None removes one, and others that the Space
    has stay. HubError says what the Hub refused.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token

    address = Address(kind, check_repo_id(repo_id))
    if not get_token():
        raise HubError(
            f"Writing to {repo_id} needs a token of the Hub, and there is none. Log in with "
            f"`hf auth login`, or set HF_TOKEN."
        )
    api = HfApi()
    # huggingface_hub draws its own bars, which know the bytes: let it, for a person.
    with _named_errors(address, writing=True), _quiet(bars=sys.stderr.isatty()):
        api.create_repo(
            repo_id, repo_type=kind, private=private, exist_ok=True, space_sdk=space_sdk
        )
        if private and not api.repo_info(repo_id, repo_type=kind).private:
            raise HubError(
                f"The {_KINDS[kind]} {repo_id} is there already, and public. Nothing was "
                f"uploaded: make it private in its settings on the Hub, or leave out --private."
            )
        if variables:
            _set_variables(api, repo_id, variables)
        old = api.list_repo_files(repo_id, repo_type=kind)
        gone = [name for name in old if name not in files and name not in KEPT]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(name, content) for name, content in files.items()),
            *(CommitOperationDelete(name) for name in gone),
        ]
        api.create_commit(repo_id, operations, commit_message=message, repo_type=kind)
    prefix = "" if kind == "model" else f"{kind}s/"
    return f"{api.endpoint}/{prefix}{repo_id}"


def _set_variables(api: HfApi, repo_id: str, variables: Mapping[str, str | None]) -> None:
    """Only what changes is sent: every change starts the Space anew."""
    old = {key: variable.value for key, variable in api.get_space_variables(repo_id).items()}
    for key, value in variables.items():
        if value is None:
            if key in old:
                api.delete_space_variable(repo_id, key)
        elif old.get(key) != value:
            api.add_space_variable(repo_id, key, value)


@contextmanager
def _named_errors(address: Address, *, writing: bool = False) -> Iterator[None]:
    """Whatever huggingface_hub and the HTTP client below it raise, as one sentence."""
    try:
        yield
    except RetrievalError:
        raise
    except Exception as error:  # they raise errors of several libraries, with no common base
        raise _named(error, address, writing=writing) from error


def _named(error: BaseException, address: Address, *, writing: bool = False) -> HubError:
    """The error as one of ours: what failed, and what mends it."""
    from huggingface_hub import constants, errors

    # "Not in the cache" and "could not upload" say less than what they come from.
    while error.__cause__ and isinstance(error, (errors.LocalEntryNotFoundError, RuntimeError)):
        error = error.__cause__
    what = f"{_KINDS[address.kind]} {address.repo_id}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = " ".join(str(error).split()) or type(error).__name__
    kinds = {base.__name__ for base in type(error).__mro__}
    token = "Log in with `hf auth login`, or set HF_TOKEN"
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(
            f"The {what} has no revision {address.revision!r}. Name a branch, a tag or a commit "
            f"of it, or leave out @{address.revision} for the newest."
        )
    if status == 401 and "credentials" in reason:
        return HubError(
            f"The Hub refuses the token that was sent for the {what}: it is wrong or has "
            f"expired. {token} to a valid one."
        )
    if status == 403 or (status == 401 and writing):
        return HubError(
            f"The token may not {'write to' if writing else 'read'} the {what}. Make one that may "
            f"at {constants.ENDPOINT}/settings/tokens, then: {token}."
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return HubError(
            f"There is no {what} on the Hub, or it is private. Check the name; if it is private: "
            f"{token} to a token that may read it."
        )
    if isinstance(error, errors.EntryNotFoundError) and status == 404:
        return HubError(
            f"The {what} lacks a file that it should have ({reason}). It must be published again."
        )
    if kinds & {"ConnectError", "ConnectTimeout", "OfflineModeIsEnabled", "ProxyError"}:
        return HubOfflineError(
            f"The Hub at {constants.ENDPOINT} cannot be reached ({reason})"
            f"{'' if writing else f', and {address} is not in its cache here'}. Check the "
            f"network (and HF_ENDPOINT, HF_HUB_OFFLINE), then try again."
        )
    if (
        status is None and kinds & {"TransportError", "ConnectionError"}
    ) or "Consistency" in reason:
        return HubOfflineError(
            f"The connection to the Hub broke off in the {what} ({reason}). Try again: what is "
            f"complete is kept."
        )
    if status == 429 or (status is not None and status >= 500):
        return HubOfflineError(
            f"The Hub cannot serve the {what} at the moment (HTTP {status}). Try again later."
        )
    if isinstance(error, errors.LocalEntryNotFoundError):
        return HubOfflineError(
            f"{address} is not in the cache at {constants.HF_HUB_CACHE}, and the Hub was not "
            f"asked. Check the network (and HF_HUB_OFFLINE), then try again."
        )
    if isinstance(error, OSError) and error.errno is not None and not writing:
        if error.errno == errno.ENOSPC:
            return HubError(
                f"No space is left for the {what} at {constants.HF_HUB_CACHE}. Make room there, "
                f"or set HF_HOME to a folder on a larger disk."
            )
        return HubError(
            f"The Hub's cache at {constants.HF_HUB_CACHE} cannot be written ({error}). Make it "
            f"writable, or set HF_HOME to a folder that is."
        )
    return HubError(
        f"The {what} could not be {'written' if writing else 'read'} ({reason}). Check the name "
        f"and its page on the Hub, {constants.ENDPOINT}."
    )


@contextmanager
def _quiet(*, bars: bool = False) -> Iterator[None]:
    """Without huggingface_hub's log of every retry, and without its progress bars."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    log = logging.getLogger("huggingface_hub")
    before, shown = log.level, not are_progress_bars_disabled()
    log.setLevel(logging.CRITICAL)
    if shown and not bars:
        disable_progress_bars()
    try:
        yield
    finally:
        log.setLevel(before)
        if shown and not bars:
            enable_progress_bars()

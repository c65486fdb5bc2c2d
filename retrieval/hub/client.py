"""Download files of a repository at one commit, and upload a repository as one commit.

Downloads lie in huggingface_hub's own cache, and a cached commit needs no network.
huggingface_hub is imported inside functions only: importing it takes 0.2 s. Hashes are checked
in retrieval.hub.verify.
"""

from __future__ import annotations

import glob
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

from retrieval.errors import HubError, HubOfflineError
from retrieval.hub.address import KINDS, Address, check_repo_id
from retrieval.hub.errors import translate_error, translated_errors

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT_S = 10  # for the Hub's first answer; then what lies in the cache must do
N_CONNECTIONS = 8
KEPT = (".gitattributes",)  # the Hub's own, which an upload leaves alone

Progress = Callable[[int, int | None], None]  # (files done, files in all)
Files: TypeAlias = Mapping[str, Path | bytes]  # path in a repository → its content


def size_of(content: Path | bytes) -> int:
    """Size in bytes of one of `Files`."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit: a folder with those of its files that were downloaded."""

    address: Address
    commit: str
    folder: Path

    def fetch(
        self, names: Collection[str], progress: Progress | None = None, *, anew: bool = False
    ) -> None:
        """Download the files to the folder, except those that are there already.

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
        from huggingface_hub import hf_hub_download

        download = partial(
            hf_hub_download,
            self.address.repo_id,
            repo_type=self.address.kind,
            revision=self.commit,
            force_download=anew,
        )
        with translated_errors(self.address), _quiet(), ThreadPoolExecutor(N_CONNECTIONS) as pool:
            try:
                for _ in pool.map(download, wanted):
                    done += 1
                    if progress:
                        progress(done, len(names))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)  # one is enough to give up
                raise

    def fetch_matching(self, patterns: Collection[str], ignored: Collection[str] = ()) -> None:
        """Download all files whose names match; as in fnmatch, * also matches /."""
        from huggingface_hub import snapshot_download

        with translated_errors(self.address), _quiet():
            snapshot_download(
                self.address.repo_id,
                repo_type=self.address.kind,
                revision=self.commit,
                allow_patterns=list(patterns),
                ignore_patterns=list(ignored),
            )


def stays_inside(name: str) -> bool:
    """Whether a name stays inside its folder: relative, and without "..".

    >>> [stays_inside(name) for name in ("media/a.gif", "../a.gif", "/a.gif", "a//b", "")]
    [True, False, False, False, False]
    """
    path = Path(name)  # of this system: C: and \\ mean something on some
    plain = PurePosixPath(name).as_posix() == name and bool(path.name)
    return plain and not path.anchor and ".." not in path.parts


def pull(address: Address, first: str) -> Snapshot | None:
    """Resolve an address to a commit, and download the file `first`.

    None if it has no such file. A commit that is named and lies in the cache is taken without
    asking the Hub. A branch or a tag is asked for; if the Hub cannot be reached, it is what it
    was the last time. HubError says what is missing; HubOfflineError that only the network is.
    """
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache

    where: dict[str, Any] = {"repo_id": address.repo_id, "repo_type": address.kind}
    where["revision"] = address.revision or None
    with translated_errors(address), _quiet():
        cached = try_to_load_from_cache(filename=first, **where)
        kept = None
        if isinstance(cached, str):
            folder = Path(cached).parents[len(PurePosixPath(first).parts) - 1]
            kept = Snapshot(address, folder.name, folder)
        if kept and address.is_commit:
            return kept
        try:
            commit = HfApi().repo_info(timeout=TIMEOUT_S, **where).sha
        except Exception as error:
            if kept and isinstance(translate_error(error, address), HubOfflineError):
                return kept
            raise
        if kept and kept.commit == commit:
            return kept
        # Notes in the cache what the revision is now, and what files there are, which spares
        # a request for each of those that the Hub keeps in Xet.
        folder = Path(snapshot_download(allow_patterns=[glob.escape(first)], **where))
        return Snapshot(address, folder.name, folder) if (folder / first).is_file() else None


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
    """Replace the content of a repository by `files`; return the URL of its page.

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
    with translated_errors(address, writing=True), _quiet(bars=sys.stderr.isatty()):
        api.create_repo(
            repo_id, repo_type=kind, private=private, exist_ok=True, space_sdk=space_sdk
        )
        if private and not api.repo_info(repo_id, repo_type=kind).private:
            raise HubError(
                f"The {KINDS[kind]} {repo_id} is there already, and public. Nothing was "
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
    """Send changes only: every change restarts the Space."""
    old = {key: variable.value for key, variable in api.get_space_variables(repo_id).items()}
    for key, value in variables.items():
        if value is None:
            if key in old:
                api.delete_space_variable(repo_id, key)
        elif old.get(key) != value:
            api.add_space_variable(repo_id, key, value)


@contextmanager
def _quiet(*, bars: bool = False) -> Iterator[None]:
    """Silence huggingface_hub's log of every retry, and its progress bars."""
    from huggingface_hub.utils.tqdm import (
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

"""The Hugging Face Hub: repositories at a fixed commit, files verified by hash."""

from retrieval.hub.address import MODELS, Address, check_repo_id, is_address
from retrieval.hub.checked import FileFacts, Known
from retrieval.hub.client import Files, Progress, Snapshot, pull, size_of, stays_inside, upload
from retrieval.hub.front_matter import front_matter, split_front_matter
from retrieval.hub.verify import (
    changed_files,
    check_sha256,
    fetch_checked,
    remember_written,
    sha256_of,
    sha256_of_opened,
)

__all__ = [
    "MODELS",
    "Address",
    "FileFacts",
    "Files",
    "Known",
    "Progress",
    "Snapshot",
    "changed_files",
    "check_repo_id",
    "check_sha256",
    "fetch_checked",
    "front_matter",
    "is_address",
    "pull",
    "remember_written",
    "sha256_of",
    "sha256_of_opened",
    "size_of",
    "split_front_matter",
    "stays_inside",
    "upload",
]

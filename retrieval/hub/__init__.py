"""The Hugging Face Hub: repositories at a fixed commit, files verified by hash."""

from retrieval.hub.client import (
    MODELS,
    Address,
    Files,
    Progress,
    Snapshot,
    check_repo_id,
    is_address,
    pull,
    size_of,
    stays_inside,
    upload,
)
from retrieval.hub.verify import Notes, check_sha256, fetch_checked, sha256_of

__all__ = [
    "MODELS",
    "Address",
    "Files",
    "Notes",
    "Progress",
    "Snapshot",
    "check_repo_id",
    "check_sha256",
    "fetch_checked",
    "is_address",
    "pull",
    "sha256_of",
    "size_of",
    "stays_inside",
    "upload",
]

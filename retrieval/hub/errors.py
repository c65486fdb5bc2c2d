"""Translate errors of huggingface_hub and its HTTP client to HubError and HubOfflineError.

HubOfflineError is a transient failure (network, rate limit, server error): retry later.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from retrieval.errors import HubError, HubOfflineError, RetrievalError
from retrieval.hub.address import KINDS, Address


@contextmanager
def translated_errors(address: Address, *, writing: bool = False) -> Iterator[None]:
    """Raise HubError in place of what huggingface_hub and its HTTP client raise."""
    try:
        yield
    except RetrievalError:
        raise
    except Exception as error:  # they raise errors of several libraries, with no common base
        raise translate_error(error, address, writing=writing) from error


def translate_error(error: BaseException, address: Address, *, writing: bool = False) -> HubError:
    """Return the HubError that says what failed, and what to do about it."""
    from huggingface_hub import constants, errors

    # "Not in the cache" and "could not upload" say less than what they come from.
    while error.__cause__ and isinstance(error, (errors.LocalEntryNotFoundError, RuntimeError)):
        error = error.__cause__
    what = f"{KINDS[address.kind]} {address.repo_id}"
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

"""Whether a request comes from the chat that it says it comes from.

Slack: HMAC-SHA256 of version, time and body, keyed by the app's signing secret
(docs.slack.dev/authentication/verifying-requests-from-slack). Mattermost: the token that it made
for the slash command, and for a click our own HMAC of the context that it sends back.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping

SLACK_VERSION = "v0"
MAX_AGE_S = 300  # of a request, so that nobody sends an old one again


def is_from_slack(secret: str, timestamp: str, signature: str, body: bytes, now_s: float) -> bool:
    """Whether the signature is Slack's, and not older or newer than five minutes."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    if abs(now_s - int(timestamp)) > MAX_AGE_S:
        return False
    signed = f"{SLACK_VERSION}:{timestamp}:".encode() + body
    expected = f"{SLACK_VERSION}={hmac.new(secret.encode(), signed, 'sha256').hexdigest()}"
    return _equal(signature, expected)


def is_token(token: str, given: str) -> bool:
    """Whether a token is the configured one."""
    return _equal(given, token)


def sign_context(secret: str, context: Mapping[str, object]) -> str:
    """What proves that a context that comes back with a click was ours."""
    told = json.dumps(context, sort_keys=True, ensure_ascii=True)
    return hmac.new(secret.encode(), b"reaction-context:" + told.encode(), "sha256").hexdigest()


def is_context(secret: str, context: Mapping[str, object], signature: object) -> bool:
    """Whether `sign_context` made the signature."""
    return isinstance(signature, str) and _equal(signature, sign_context(secret, context))


def _equal(given: str, expected: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())

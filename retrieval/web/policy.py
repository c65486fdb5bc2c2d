"""Content-Security-Policy of the page's HTML: what a browser runs and loads on it.

Streamlit needs what a page of one's own would not: styles in the markup (emotion), modules from
blob: addresses (components v2), and one inline script, which is allowed by the hash of its text
rather than by 'unsafe-inline'. Pictures and films may come from anywhere, as a bundle may refer to
GIFs on the web. Nothing is evaluated, framed or sent to another place.
https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from retrieval.errors import SettingsError
from retrieval.web.settings import current_settings

# A classic or module script whose text is in the markup; JSON in a <script> is data, never run.
_INLINE_SCRIPT = re.compile(
    rb"<script(?![^>]*\bsrc=)(?![^>]*\btype=\"application/json\")[^>]*>(.*?)</script>", re.S | re.I
)


def page_policy(html: bytes, frame_ancestors: Sequence[str]) -> str:
    """The policy for a page; `frame_ancestors` are origins that may frame it besides its own.

    >>> page_policy(b"<p>", ["https://huggingface.co"]).rpartition("; ")[2]
    "frame-ancestors 'self' https://huggingface.co"
    """
    scripts = " ".join(f"'sha256-{_hash(text)}'" for text in _INLINE_SCRIPT.findall(html))
    directives = {
        "default-src": "'none'",
        "script-src": f"'self' blob: {scripts}".strip(),
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self' data:",
        "img-src": "'self' data: blob: http: https:",
        "media-src": "'self' data: blob: http: https:",
        "connect-src": "'self'",
        "worker-src": "'self' blob:",
        "manifest-src": "'self'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(["'self'", *frame_ancestors]),
    }
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


def current_policy(html: bytes = b"") -> str:
    """The policy for a page of this server."""
    try:
        ancestors = current_settings().frame_ancestors
    except SettingsError:  # the page shows the error
        ancestors = ()
    return page_policy(html, ancestors)


def _hash(text: bytes) -> str:
    return base64.b64encode(hashlib.sha256(text).digest()).decode()

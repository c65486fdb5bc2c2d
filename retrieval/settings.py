"""Where things are by default, and what the environment may say instead."""

import os
from pathlib import Path

from retrieval.hub import is_address

ROOT = Path(__file__).parents[1]
STARTER = ROOT / "index" / "starter"


def index_path() -> Path | str:
    """The bundle that the page serves, a folder or one on the Hub: REACTION_INDEX, or the
    starter library."""
    asked = os.environ.get("REACTION_INDEX")
    if not asked:
        return STARTER
    return asked if is_address(asked) else Path(asked)


def user_cache() -> Path:
    """Where what can be made again is kept for this user."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "clip-reaction-search"

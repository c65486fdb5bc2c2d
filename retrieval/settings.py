"""Where things are by default, and what the environment may say instead."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
STARTER = ROOT / "index" / "starter"


def index_path() -> Path:
    """The bundle that the page serves: REACTION_INDEX, or the starter library."""
    return Path(os.environ.get("REACTION_INDEX") or STARTER)

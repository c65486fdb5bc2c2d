"""Where things are by default, and what the environment may say instead.

The README has the table of the variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import SettingsError
from retrieval.hub import is_address
from retrieval.paths import STARTER, _user_folder

_YES_NO = {"on": True, "1": True, "true": True, "off": False, "0": False, "false": False}


@dataclass(frozen=True)
class Settings:
    """What a page is served with: a field for each REACTION_… variable, in capitals."""

    index: Path | str = STARTER  # a bundle's folder, or its address on the Hub
    checkpoint: str = ""  # where the bundle's checkpoint comes from; "": from where it says
    feedback: bool = False  # whether people are asked if a reaction fits
    data: Path = Path()  # where their answers are kept
    max_files: int = 100  # that one person may upload
    max_total_mb: int = 500  # of all that one person uploads

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """From the environment; SettingsError names the variable that makes no sense."""

        def given(name: str) -> str:
            return environ.get(f"REACTION_{name}", "").strip()

        def number(name: str, default: int) -> int:
            text = given(name) or str(default)
            if not text.isdecimal() or int(text) < 1:
                raise _wrong(name, text, "a whole number, 1 or more")
            return int(text)

        feedback = given("FEEDBACK").lower() or "off"
        if feedback not in _YES_NO:
            raise _wrong("FEEDBACK", feedback, "on or off")
        index = given("INDEX")
        return cls(
            index=(index if is_address(index) else Path(index)) if index else cls.index,
            checkpoint=given("CHECKPOINT"),
            feedback=_YES_NO[feedback],
            data=Path(given("DATA")) if given("DATA") else _user_folder("DATA", ".local/share"),
            max_files=number("MAX_FILES", cls.max_files),
            max_total_mb=number("MAX_TOTAL_MB", cls.max_total_mb),
        )


def _wrong(name: str, value: str, expected: str) -> SettingsError:
    return SettingsError(
        f"REACTION_{name} is {value!r}; expected {expected}. Set it right in the environment, or "
        f"leave it out."
    )

"""Settings of the page: the defaults, and the environment variables that override them.

docs/settings.md documents the variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from retrieval.errors import SettingsError
from retrieval.hub import is_address
from retrieval.library import is_web_address
from retrieval.paths import STARTER, _user_folder, user_cache

_YES_NO = {"on": True, "1": True, "true": True, "off": False, "0": False, "false": False}


@dataclass(frozen=True)
class Settings:
    """The page's settings: field `x` is read from the environment variable REACTION_X."""

    index: Path | str = STARTER  # a bundle's folder, or its address on the Hub
    checkpoint: str = ""  # source of the bundle's checkpoint; "": the one the bundle names
    feedback: bool = False  # whether visitors may vote on results
    data: Path = Path()  # folder that stores the votes
    max_files: int = 100  # uploads per visitor
    max_total_mb: int = 500  # total size of a visitor's uploads
    cache: Path = Path()  # folder that stores small renditions of GIFs
    cache_mb: int = 2000  # their total size at most
    public_url: str = ""  # where others reach this server; "": as each request says

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment. SettingsError names a variable whose value is invalid."""

        def value_of(name: str) -> str:
            return environ.get(f"REACTION_{name}", "").strip()

        def number(name: str, default: int) -> int:
            text = value_of(name) or str(default)
            if not text.isdecimal() or int(text) < 1:
                raise _invalid(name, text, "a whole number, 1 or more")
            return int(text)

        feedback = value_of("FEEDBACK").lower() or "off"
        if feedback not in _YES_NO:
            raise _invalid("FEEDBACK", feedback, "on or off")
        public_url = value_of("PUBLIC_URL").rstrip("/")
        if public_url and not _is_root(public_url):
            expected = "the address of this server, such as https://gifs.example.org"
            raise _invalid("PUBLIC_URL", public_url, expected)
        index, data, cached = value_of("INDEX"), value_of("DATA"), value_of("CACHE")
        return cls(
            index=(index if is_address(index) else Path(index)) if index else cls.index,
            checkpoint=value_of("CHECKPOINT"),
            feedback=_YES_NO[feedback],
            data=Path(data) if data else _user_folder("DATA", ".local/share"),
            max_files=number("MAX_FILES", cls.max_files),
            max_total_mb=number("MAX_TOTAL_MB", cls.max_total_mb),
            cache=Path(cached) if cached else user_cache(),
            cache_mb=number("CACHE_MB", cls.cache_mb),
            public_url=public_url,
        )


@cache
def current_settings() -> Settings:
    """The settings of this process: the environment is read once, at the first call.

    Tests that change the environment call `current_settings.cache_clear()`. An invalid
    value raises SettingsError at every call.
    """
    return Settings.read()


def _is_root(address: str) -> bool:
    return is_web_address(address) and not set(address) & set(" ?#\\\"'<>@")


def _invalid(name: str, value: str, expected: str) -> SettingsError:
    return SettingsError(
        f"REACTION_{name} is {value!r}; expected {expected}. Correct the environment variable, "
        f"or unset it."
    )

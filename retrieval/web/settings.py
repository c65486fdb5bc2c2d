"""Settings of the server: the defaults, and the environment variables that override them.

docs/settings.md documents the variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from retrieval.errors import SettingsError
from retrieval.hub import is_address
from retrieval.paths import STARTER, _user_folder, user_cache

KEY_MODES = ("off", "optional", "required")
RATE_LIMIT = re.compile(r"[1-9][0-9]{0,8}/([1-9][0-9]{0,4} ?)?(second|minute|hour|day)s?")
ORIGIN = re.compile(r"https?://[^/\s?#@;,'\"]+", re.I)
HOST = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.I)
ADDRESS = re.compile(r"https?://[^/\s?#@\\\"'<>]+(/[^\s?#@\\\"'<>]*)?", re.I)
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
    api_keys: str = "off"  # one of KEY_MODES
    rate_limit: str = ""  # requests per time, such as "60/minute"; "": any number
    cors: tuple[str, ...] | None = None  # origins; None: those on this machine
    hosts: tuple[str, ...] = ()  # names that requests may use; (): see retrieval.api.hosts
    frame_ancestors: tuple[str, ...] = ()  # origins that may show the page in a frame
    idle_minutes: int = 180  # after which what a visitor sent is forgotten
    metrics: bool = False  # whether /metrics answers
    public_url: str = ""  # of the server's root, where it differs from what requests say
    slack_signing_secret: str = field(default="", repr=False)  # "": no slash command for Slack
    mattermost_token: str = field(default="", repr=False)  # "": none for Mattermost

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

        def switch(name: str) -> bool:
            text = value_of(name).lower() or "off"
            if text not in _YES_NO:
                raise _invalid(name, text, "on or off")
            return _YES_NO[text]

        api_keys = value_of("API_KEYS").lower() or "off"
        if api_keys not in KEY_MODES:
            raise _invalid("API_KEYS", api_keys, f"one of {', '.join(KEY_MODES)}")
        index, data, cached = value_of("INDEX"), value_of("DATA"), value_of("CACHE")
        return cls(
            index=(index if is_address(index) else Path(index)) if index else cls.index,
            checkpoint=value_of("CHECKPOINT"),
            feedback=switch("FEEDBACK"),
            data=Path(data) if data else _user_folder("DATA", ".local/share"),
            max_files=number("MAX_FILES", cls.max_files),
            max_total_mb=number("MAX_TOTAL_MB", cls.max_total_mb),
            cache=Path(cached) if cached else user_cache(),
            cache_mb=number("CACHE_MB", cls.cache_mb),
            api_keys=api_keys,
            rate_limit=_rate_limit(value_of("RATE_LIMIT")),
            cors=_origins(value_of("CORS")),
            hosts=_listed(
                "HOSTS", value_of("HOSTS").lower(), HOST, "names such as gifs.example.org"
            ),
            frame_ancestors=_listed(
                "FRAME_ANCESTORS",
                value_of("FRAME_ANCESTORS"),
                ORIGIN,
                "origins such as https://huggingface.co",
            ),
            idle_minutes=number("IDLE_MINUTES", cls.idle_minutes),
            metrics=switch("METRICS"),
            public_url=_public_url(value_of("PUBLIC_URL")),
            slack_signing_secret=value_of("SLACK_SIGNING_SECRET"),
            mattermost_token=value_of("MATTERMOST_TOKEN"),
        )


def _rate_limit(text: str) -> str:
    text = text.lower()
    if text and text != "off" and not RATE_LIMIT.fullmatch(text):
        raise _invalid("RATE_LIMIT", text, "requests per time, such as 60/minute, or off")
    return "" if text == "off" else text


def _origins(text: str) -> tuple[str, ...] | None:
    if not text:
        return None
    if text.lower() == "off":
        return ()
    origins = tuple(origin.strip() for origin in text.split(","))
    for origin in origins:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise _invalid("CORS", origin, "origins such as https://chat.example.org, * or off")
    return origins


def _listed(name: str, text: str, form: re.Pattern[str], expected: str) -> tuple[str, ...]:
    values = tuple(value.strip() for value in text.split(",")) if text else ()
    for value in values:
        if not form.fullmatch(value):
            raise _invalid(name, value, f"{expected}, with commas between")
    return values


def _public_url(text: str) -> str:
    if text and not ADDRESS.fullmatch(text):
        raise _invalid(
            "PUBLIC_URL", text, "the address of this server, such as https://gifs.example.org"
        )
    return text.rstrip("/")


@cache
def current_settings() -> Settings:
    """The settings of this process: the environment is read once, at the first call.

    Tests that change the environment call `current_settings.cache_clear()`. An invalid
    value raises SettingsError at every call.
    """
    return Settings.read()


def _invalid(name: str, value: str, expected: str) -> SettingsError:
    return SettingsError(
        f"REACTION_{name} is {value!r}; expected {expected}. Correct the environment variable, "
        f"or unset it."
    )

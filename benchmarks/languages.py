"""Measure how well the language of short chat messages is recognised.

False alarms: all English messages of data/messages and the example queries, each once.
Recognition: 60 messages in each of eight languages in Latin script (languages.json), written for
this project by a session of a language model, at the length and in the register of a chat.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from retrieval.paths import ROOT
from retrieval.web import EXAMPLES, recognise_language

MESSAGES = Path(__file__).with_suffix(".json")


def english_messages() -> list[str]:
    """All English messages of this repository, each once."""
    files = sorted((ROOT / "data" / "messages").glob("*.jsonl"))
    rows = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return list(dict.fromkeys([*EXAMPLES, *(json.loads(row)["text"] for row in rows)]))


def messages_by_language() -> dict[str, list[str]]:
    """60 chat messages in each language, by its ISO 639-1 code."""
    messages: dict[str, list[str]] = json.loads(MESSAGES.read_text(encoding="utf-8"))
    return messages


def measure_languages() -> None:
    by_language = messages_by_language()
    before_mb, start = _resident_mb(), time.perf_counter()
    recognise_language("the first message in Latin script")
    first_ms = 1000 * (time.perf_counter() - start)
    for messages in by_language.values():
        for message in messages:
            recognise_language(message)
    grown_mb = _resident_mb() - before_mb
    english = english_messages()
    start = time.perf_counter()
    alarms = [(found.key, m) for m in english if (found := recognise_language(m))]
    each_ms = 1000 * (time.perf_counter() - start) / len(english)
    print(f"first message {first_ms:.0f} ms, each of {len(english):,} {each_ms:.3f} ms")
    print(f"memory grown by {grown_mb:.1f} MB after all languages (Linux)")
    print(f"false alarms: {len(alarms)} of {len(english):,} ({len(alarms) / len(english):.3%})")
    for key, message in alarms:
        print(f"  {key}: {message}")
    print("| language | recognised | taken for another | of |\n|---|---:|---:|---:|")
    for code, messages in by_language.items():
        keys = [found.key for m in messages if (found := recognise_language(m))]
        right = keys.count(code)
        print(f"| {code} | {right} | {len(keys) - right} | {len(messages)} |")


def _resident_mb() -> float:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
    except OSError:
        return float("nan")

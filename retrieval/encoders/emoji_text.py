"""Emoji inside messages, spelled out for tokenizers that do not know them.

A BERT tokenizer turns 🎉 into [UNK], and the message loses its point. CLIP's and
SigLIP's tokenizers know the bytes of an emoji, and are left alone.
"""

from __future__ import annotations

import re

import emoji

_SKIN_TONES = re.compile("[\U0001f3fb-\U0001f3ff]")


def spell_out(text: str) -> str:
    """The text with each emoji replaced by its CLDR name; skin tones are dropped.

    >>> spell_out("I got the job 🎉")
    'I got the job party popper'
    """
    named = emoji.replace_emoji(
        _SKIN_TONES.sub("", text),
        lambda char, data: f" {data['en'].strip(':').replace('_', ' ')} ",
    )
    return named if named == text else " ".join(named.split())

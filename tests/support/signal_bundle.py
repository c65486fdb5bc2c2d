"""A small bundle with all signals: plain pictures with telling names, two with words in them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from retrieval.build import build_index
from retrieval.encoders import load_encoder
from retrieval.library import SIGNALS

NAMES = (
    "celebration-dance",
    "confetti-party",
    "standing-ovation-applause",
    "crying-puppy",
    "eye-roll",
    "thumbs-up",
    "shrug-i-dont-know",
    "facepalm",
    "scared-cat",
    "high-five",
)
WORDS = {"0001": "NOBODY GOT TIME", "0002": "CONGRATULATIONS"}


def build_signal_bundle(folder: Path) -> Path:
    """Build it, media included, with the exported `mini`; returns the bundle's folder."""
    source = folder / "source"
    source.mkdir(parents=True)
    for number, name in enumerate([*NAMES, *WORDS]):
        picture = Image.new("RGB", (320, 120), (20 * number, 90, 240 - 20 * number))
        if name in WORDS:
            font = ImageFont.load_default(size=26)
            ImageDraw.Draw(picture).text((12, 40), WORDS[name], fill="white", font=font)
        picture.save(source / f"{name}.png")
    encoder = load_encoder("mini", runtime="exported")
    build_index(source, folder / "signals", encoder, signals=SIGNALS, copy_media=True)
    return folder / "signals"

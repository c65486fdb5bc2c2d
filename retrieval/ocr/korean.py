"""Read lines of Korean with Tesseract, whose model lies here. The one importer of tesserocr.

RapidOCR's models in its wheel know no Hangul, and are unsure of lines that hold it; these are
read again. Where tesserocr is not installed (it has no wheel for every system) they stay unread.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

MODEL = Path(__file__).with_name("kor.traineddata")
HANGUL_SHARE = 0.6  # of a line's letters, below which it is taken for noise
MIN_SYLLABLES = 2
FEW_SYLLABLES, SURE = 3, 0.85  # fewer syllables are believed from this confidence on
HEIGHT, MARGIN = 48, 10  # of the picture that Tesseract gets, in pixels
BRIGHT = 200  # grey level above which a pixel may be of a letter


class KoreanReader:
    """Tesseract with its model of Korean; each thread needs its own."""

    @staticmethod
    def release() -> str:
        """The version of tesserocr; "" if it is not installed."""
        if importlib.util.find_spec("tesserocr") is None:
            return ""
        return importlib.metadata.version("tesserocr")

    @cached_property
    def _engine(self) -> Any:
        import tesserocr

        single_line = tesserocr.PSM.SINGLE_LINE
        return tesserocr.PyTessBaseAPI(path=str(MODEL.parent), lang=MODEL.stem, psm=single_line)

    def read(self, line: np.ndarray) -> tuple[str, float]:
        """Return the text of a line (BGR uint8) and its confidence; ("", 0) if it is not Korean.

        Subtitles are bright on whatever the film shows, so the bright parts alone are read first:
        of 20 drawn over coloured discs, 20 lines came out right that way, 11 as they were.
        """
        picture = Image.fromarray(np.ascontiguousarray(line[:, :, ::-1]))
        width = max(1, round(picture.width * HEIGHT / max(1, picture.height)))
        grey = picture.convert("L").resize((width, HEIGHT), Image.Resampling.BICUBIC)
        bright = grey.point(lambda level: 0 if level > BRIGHT else 255)
        return max((self._read(bright), self._read(picture)), key=lambda read: read[1])

    def _read(self, picture: Image.Image) -> tuple[str, float]:
        self._engine.SetImage(ImageOps.expand(picture, border=MARGIN, fill="white"))
        text = " ".join(str(self._engine.GetUTF8Text()).split())
        letters = [char for char in text if char.isalpha()]
        n_hangul = sum("가" <= char <= "힣" for char in letters)
        if n_hangul < max(MIN_SYLLABLES, HANGUL_SHARE * len(letters)):
            return "", 0.0
        confidence = self._engine.MeanTextConf() / 100
        if n_hangul < FEW_SYLLABLES and confidence < SURE:
            return "", 0.0
        return text, confidence

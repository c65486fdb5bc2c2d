"""Read the text in the frames of a GIF with RapidOCR. The one importer of rapidocr.

Text is located in a small version of each frame, which costs a few milliseconds where there
is none. Lines that look as they did in the frame before are not recognised again, and what
stays for several frames is reported once. RapidOCR's models (PP-OCRv6 small, Apache-2.0) come
in its wheel: they read Latin, Greek, Chinese and Japanese. Lines of which they are unsure are
read again as Korean (retrieval.ocr.korean). For Cyrillic, Arabic and others a recogniser can be
named by its file.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retrieval.errors import CheckpointError, StoppedError
from retrieval.hub import sha256_of
from retrieval.media import PictureText, Stop
from retrieval.ocr.korean import KoreanReader

VERSION = 3  # of this module's rules; readings of another version are not reused
DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNIZER = "PP-OCRv6_rec_small.onnx"

# Longest sides of the picture in which text is located. On 40 reaction GIFs (109 frames, two
# busy cores) 736 took 109 ms a frame, 448 took 28 ms and found 88 % of the same words, 320
# took 22 ms and found 74 %. A still is one frame, and often a meme in small print.
SIDE, STILL_SIDE = 448, 736
FEW_FRAMES = 2  # a file with at most so many distinct frames is read like a still

# Shapes of input for which OpenVINO keeps code, per model. Frames and lines come in all sizes:
# over 140 GIFs one reader grew to 1,400 MB without a limit and still grew, to 802 MB with this
# one, which took 11 % more CPU time.
KEPT_SHAPES = 100

MIN_CONFIDENCE = 0.6
UNSURE = 0.9  # below which a line may be Korean
# Of lines with fewer letters than FEW_LETTERS: shapes in drawings pass for "oo" and "CC".
SHORT_CONFIDENCE, FEW_LETTERS = 0.95, 4
MAX_LINES = 24  # a frame; a page of a comic has more
MAX_CHARS = 400  # a frame
SAME_LINE = 12.0  # mean difference of grey levels (of 255) up to which a line is the same
SAME_TEXT = 0.85  # similarity from which two readings are of the same text
LINE_SHAPE = (16, 64)  # height and width at which lines are compared

_LETTERS = re.compile(r"[^\W\d_]{2}")
_WATERMARK = re.compile(r"\b[\w-]+\.\s?(com|net|org|tv|co|me)\b", re.IGNORECASE)


@dataclass
class _Line:
    """A located line: its corners, how it looks, and what it says once that is known."""

    corners: np.ndarray  # (4, 2)
    crop: np.ndarray
    look: np.ndarray
    text: str = ""
    confidence: float = 0.0


class TextReader:
    """A detector and a recogniser. Not thread-safe: each thread needs its own."""

    def __init__(self, recognizer: Path | None = None, threads: int = 1):
        """`recognizer` is an ONNX file in RapidOCR's form; CheckpointError if it is missing.

        The models are loaded by `load`, or when the first picture is read.
        """
        found = importlib.util.find_spec("rapidocr")
        models = Path(found.origin).parent / "models" if found and found.origin else Path()
        self._detector = models / DETECTOR
        self._recognizer = recognizer or models / RECOGNIZER
        for file in (self._detector, self._recognizer):
            if not file.is_file():
                remedy = "Install RapidOCR again (pip install --force-reinstall rapidocr)"
                if file == recognizer:
                    remedy = "Name the recogniser's ONNX file with --ocr-model"
                raise CheckpointError(
                    f"Text in pictures cannot be read: {file} is missing. {remedy}, or build "
                    f"without: --signals frames"
                )
        self._threads = threads
        release = "" if recognizer else KoreanReader.release()
        self._korean = KoreanReader() if release else None
        self._korean_release = f", tesserocr {release}" if release else ""
        self._is_loaded = False

    @cached_property
    def version(self) -> str:
        """What readings depend on: the same version reads the same."""
        release = importlib.metadata.version("rapidocr")
        name = self._recognizer.name
        if name != RECOGNIZER:
            name += f" {sha256_of(self._recognizer)[:12]}"
        return f"rapidocr {release}, {name}{self._korean_release}, rules {VERSION}"

    def load(self) -> None:
        """Load the models; CheckpointError if they are damaged."""
        if self._is_loaded:
            return
        try:
            for model in (self._engine._load_det_model(), self._engine._load_rec_model()):
                _compile(model.session, self._threads)
        except Exception as error:  # of OpenVINO, OmegaConf or RapidOCR, by what is wrong
            reason = str(error).strip().splitlines() or [""]
            raise CheckpointError(
                f"Text in pictures cannot be read: {self._detector.name} or "
                f"{self._recognizer} cannot be loaded ({type(error).__name__}: {reason[-1]}). "
                f"Expected ONNX files of RapidOCR, with the characters inside. Build without: "
                f"--signals frames"
            ) from error
        self._is_loaded = True

    @cached_property
    def _engine(self) -> Any:
        from rapidocr import EngineType, RapidOCR

        engine = EngineType.OPENVINO
        return RapidOCR(
            params={
                "Global.log_level": "error",
                "Det.engine_type": engine,
                "Det.model_path": str(self._detector),
                "Det.limit_type": "max",
                "Det.limit_side_len": SIDE,
                "Rec.engine_type": engine,
                "Rec.model_path": str(self._recognizer),
                # For a model without its characters inside. Without a path, RapidOCR would
                # download a list of other characters; with this one, loading fails.
                "Rec.rec_keys_path": str(self._recognizer),
                "EngineConfig.openvino.inference_num_threads": self._threads,
            }
        )

    def read(
        self, frames: Sequence[tuple[int, int, np.ndarray]], stop: Stop | None = None
    ) -> tuple[PictureText, ...]:
        """Return the texts in frames (index, time in ms, pixels as of `picture_to_read`).

        StoppedError soon after `stop`, which is called between frames, returns True.
        """
        self.load()
        texts: list[PictureText] = []
        last: list[_Line] = []
        is_still = len(frames) <= FEW_FRAMES
        for index, time_ms, pixels in frames:
            if stop and stop():
                raise StoppedError
            last = self._lines(pixels, STILL_SIDE if is_still else SIDE, last)
            text = _joined(last, index, time_ms, pixels)
            if text:
                _add(texts, text)
        return tuple(texts)

    def _lines(self, pixels: np.ndarray, side: int, last: Sequence[_Line]) -> list[_Line]:
        """Locate the lines of a frame, and recognise those that the last frame did not have."""
        detector = self._engine._load_det_model()
        detector.limit_side_len = side
        boxes = detector(pixels).boxes
        if boxes is None:
            return []
        if len(boxes) > MAX_LINES:  # the tallest lines, in reading order
            heights = np.linalg.norm(boxes[:, 3] - boxes[:, 0], axis=1)
            boxes = boxes[np.sort(np.argsort(-heights, kind="stable")[:MAX_LINES])]
        crops = self._engine.crop_text_regions(pixels, boxes)
        lines = [
            _Line(corners, crop, _look(crop))
            for corners, crop in zip(boxes, crops, strict=True)
            if min(crop.shape[:2]) > 1
        ]
        unread = []
        for line in lines:
            known = next((old for old in last if _is_same(line, old)), None)
            if known:
                line.text, line.confidence = known.text, known.confidence
            else:
                unread.append(line)
        if unread:
            read = self._engine.recognize_txt([line.crop for line in unread])
            for line, text, confidence in zip(unread, read.txts, read.scores, strict=True):
                line.text, line.confidence = str(text).strip(), float(confidence)
                if self._korean and line.confidence < UNSURE:
                    korean, sure = self._korean.read(line.crop)
                    if sure >= MIN_CONFIDENCE:
                        line.text, line.confidence = korean, max(sure, SHORT_CONFIDENCE)
        return lines


def picture_to_read(image: Image.Image) -> np.ndarray:
    """Return the pixels that `TextReader.read` takes: BGR uint8, no side over STILL_SIDE."""
    if max(image.size) > STILL_SIDE:
        image = image.copy()
        image.thumbnail((STILL_SIDE, STILL_SIDE), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


def _compile(session: Any, threads: int) -> None:
    """Compile a model of RapidOCR again, with a setting that RapidOCR does not pass on."""
    import openvino

    config = {"INFERENCE_NUM_THREADS": str(threads), "CPU_RUNTIME_CACHE_CAPACITY": str(KEPT_SHAPES)}
    compiled = openvino.Core().compile_model(session.model, "CPU", config)
    session.session = compiled.create_infer_request()


def _look(crop: np.ndarray) -> np.ndarray:
    grey = Image.fromarray(crop).convert("L").resize(LINE_SHAPE[::-1], Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


def _is_same(line: _Line, other: _Line) -> bool:
    """Return whether two lines lie in the same place and look alike."""
    height = np.ptp(line.corners[:, 1])
    is_near = np.abs(line.corners - other.corners).max() <= max(4.0, height / 2)
    return bool(is_near and np.abs(line.look - other.look).mean() <= SAME_LINE)


def _joined(
    lines: Sequence[_Line], index: int, time_ms: int, pixels: np.ndarray
) -> PictureText | None:
    """Return the readable lines of a frame as one text."""
    kept = [line for line in lines if _is_readable(line)]
    if not kept:
        return None
    height, width = pixels.shape[:2]
    corners = np.concatenate([line.corners for line in kept]) / (width, height)
    left, top = corners.min(axis=0).clip(0, 1).round(4).tolist()
    right, bottom = corners.max(axis=0).clip(0, 1).round(4).tolist()
    text = " ".join(line.text for line in kept)[:MAX_CHARS]
    confidence = sum(line.confidence for line in kept) / len(kept)
    return PictureText(text, index, time_ms, round(confidence, 3), (left, top, right, bottom))


def _is_readable(line: _Line) -> bool:
    is_short = sum(map(str.isalpha, line.text)) < FEW_LETTERS
    return (
        line.confidence >= (SHORT_CONFIDENCE if is_short else MIN_CONFIDENCE)
        and bool(_LETTERS.search(line.text))
        and not _WATERMARK.search(line.text)
    )


def _add(texts: list[PictureText], text: PictureText) -> None:
    """Add a text, unless it is known already: then the surer of two readings is kept.

    The same reading stays in the frame where the text appeared.
    """
    for number, known in enumerate(texts):
        if _similarity(known.text, text.text) >= SAME_TEXT:
            if text.text != known.text and text.confidence > known.confidence:
                texts[number] = text
            return
    texts.append(text)


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(None, _letters(one), _letters(other), autojunk=False).ratio()


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())

"""Read the words that stand in pictures (OCR)."""

from retrieval.ocr.reader import STILL_SIDE, TextReader, picture_to_read

__all__ = ["STILL_SIDE", "TextReader", "picture_to_read"]

"""Read the words that stand in pictures (OCR)."""

from retrieval.ocr.reader import TextReader, picture_to_read

__all__ = ["TextReader", "picture_to_read"]

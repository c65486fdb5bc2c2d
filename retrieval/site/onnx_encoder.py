"""Encode with the towers of a static site, as a visitor's browser does: ONNX Runtime on a CPU.

For comparing them with the checkpoint that they were made of (retrieval.site.agreement). The only
importer of onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.encoders import Encoder, Pixels
from retrieval.encoders.sentences import MINI
from retrieval.encoders.tokenizer import Tokens, TokenSettings

if TYPE_CHECKING:
    from PIL import Image

# Options of onnxruntime-web's InferenceSession.create, without which the weights are turned into
# float32 for every message (retrieval.site.weights).
SESSION = {"extra": {"session": {"disable_quant_qdq": "1"}}}
PIXELS, TOKENS = "pixels", "tokens"  # the inputs of the towers


class OnnxTower:
    """One tower of model.json: a graph, and for texts their tokenizer."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]):
        self._file, self._facts = folder / facts["file"], facts
        if facts["tokenizer"]:
            settings = TokenSettings(**facts["token_settings"])
            self._tokens = Tokens(folder / facts["tokenizer"], settings)

    @cached_property
    def _session(self) -> Any:
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.log_severity_level = 3
        for key, value in SESSION["extra"]["session"].items():
            options.add_session_config_entry(f"session.{key}", value)
        return InferenceSession(str(self._file), options, providers=["CPUExecutionProvider"])

    def encode(self, texts: Sequence[str], output: str) -> np.ndarray:
        """An output ("embedding" or "sentence") for texts, each alone as in a browser."""
        name = self._facts["outputs"][output]
        rows = [self._session.run([name], {TOKENS: self._tokens([text])})[0] for text in texts]
        return np.concatenate(rows)

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Unit embeddings of prepared pictures."""
        found = self._session.run([self._facts["outputs"]["embedding"]], {PIXELS: pixels})[0]
        return np.asarray(found)


class OnnxEncoder:
    """The towers in a site's model folder, in place of the encoder `exact` that they stand for."""

    precision, precision_note = "float32", ""
    sentences_of = MINI

    def __init__(self, folder: Path, towers: Mapping[str, Any], exact: Encoder):
        self.checkpoint, self.label = exact.checkpoint, exact.label
        self.dim, self.fingerprint = exact.dim, exact.fingerprint
        self.prepare = exact.prepare
        self._towers = {n: OnnxTower(folder, facts) for n, facts in towers.items() if facts}

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings of texts, float32 (n, dim)."""
        if not len(texts):
            return np.zeros((0, self.dim), np.float32)
        return self._towers["message"].encode(texts, "embedding")

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """Unit sentence embeddings of texts, float32 (n, 384)."""
        tower = self._towers.get("sentence", self._towers["message"])
        return tower.encode(texts, "sentence")

    def encode_pixels(self, pixels: Pixels) -> np.ndarray:
        """Unit embeddings of prepared pictures, float32 (n, dim)."""
        return self._towers["image"].encode_pixels(np.stack(list(pixels)))

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit embeddings of pictures, float32 (n, dim)."""
        return self.encode_pixels([self.prepare(image) for image in images])

"""Encode with the towers of a static site, as a visitor's browser does: ONNX Runtime on a CPU.

For comparing them with the checkpoint that they were made of (retrieval.site.agreement). The only
importer of onnxruntime.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.encoders import Encoder, Pixels
from retrieval.encoders.sentences import MINI
from retrieval.encoders.tokenizer import Tokens, TokenSettings
from retrieval.site.arrays import read_arrays

if TYPE_CHECKING:
    from PIL import Image

PIXELS, TOKENS = "pixels", "tokens"  # the inputs of the towers
PROVIDERS = ["CPUExecutionProvider"]


def _options() -> Any:
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.log_severity_level = 3
    return options


def simplified(graph: bytes) -> bytes:
    """An ONNX graph with its constants folded and without what has no effect.

    A browser then need not do it at each visit. Only standard operators, for any processor.
    """
    from onnxruntime import GraphOptimizationLevel, InferenceSession

    with tempfile.TemporaryDirectory() as folder:
        options, file = _options(), Path(folder) / "simplified.onnx"
        options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(file)
        InferenceSession(graph, options, providers=PROVIDERS)
        return file.read_bytes()


class OnnxTower:
    """One tower of model.json: a graph, and for texts their tokenizer."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]):
        self._file, self._facts = folder / facts["file"], facts
        if facts["tokenizer"]:
            settings = TokenSettings(**facts["token_settings"])
            self._tokens = Tokens(folder / facts["tokenizer"], settings)

    @cached_property
    def _session(self) -> Any:
        from onnxruntime import InferenceSession, OrtValue

        from retrieval.site.weights import Tensor, restored

        options, stored = _options(), self._facts["weights"]
        arrays = read_arrays(self._file.parent / stored["file"], stored["arrays"])
        values = restored([Tensor(**tensor) for tensor in stored["tensors"]], arrays)
        given = [OrtValue.ortvalue_from_numpy(each) for each in values.values()]
        options.add_external_initializers(list(values), given)
        return InferenceSession(str(self._file), options, providers=PROVIDERS)

    def encode(self, texts: Sequence[str], output: str) -> np.ndarray:
        """An output ("embedding" or "sentence") for texts, each alone as in a browser."""
        return np.concatenate([self.run({TOKENS: self._tokens([text])}, output) for text in texts])

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Unit embeddings of prepared pictures."""
        return self.run({PIXELS: pixels}, "embedding")

    def run(self, given: Mapping[str, np.ndarray], output: str) -> np.ndarray:
        return np.asarray(self._session.run([self._facts["outputs"][output]], given)[0])


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

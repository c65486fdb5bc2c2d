"""Encode with an exported checkpoint: both towers as OpenVINO graphs, without torch.

    encoder.json    the checkpoint, preprocessing, tokenizer settings and file hashes
    image.xml, text.xml   the towers: uint8 pixels and token numbers to unit embeddings
    weights.bin     their weights, except for those in the checkpoint's own files
    tokenizer.json  unless the checkpoint has it

The only importer of openvino for serving; retrieval.encoders.export writes such a folder. A
tower is compiled when it is first used, so that a search by text never loads the image tower.
"""

from __future__ import annotations

import json
import posixpath
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from retrieval.encoders.base import BATCH_SIZE, Pixels, batches, probe_pixels
from retrieval.encoders.checkpoint import Checkpoint
from retrieval.encoders.precision import (
    PrecisionMeasurement,
    cached_precision,
    measure_precision,
    usable_cores,
)
from retrieval.encoders.preprocess import Preprocess
from retrieval.encoders.tokenizer import Tokens, TokenSettings
from retrieval.errors import CheckpointError
from retrieval.hub import Address, Snapshot, changed_files, fetch_checked, pull, sha256_of

if TYPE_CHECKING:
    from PIL import Image

# OpenVINO and nncf report each import to Google Analytics, without asking, through this package,
# which they can do without: here they do not find it. Whatever imports openvino imports this
# module first. What people type and index stays on their machine.
_modules = cast("dict[str, Any]", sys.modules)
_modules.setdefault("openvino_telemetry", None)

FORMAT_VERSION = 1
# Streams infer independently, each on its share of the cores, so that a core that is busy
# decoding frames delays one stream, not all. Measured on 2 cores with ViT-B-32, one against
# two streams: 43.8 and 45.5 pictures/s in bfloat16, 54 to 74 and 76 in int8.
STREAMS = min(4, usable_cores())
CHUNK = 16  # pictures in a batch; with 32 the streams finish further apart
DESCRIPTION = "encoder.json"
WEIGHTS = "weights.bin"
TOWERS = ("image", "text")
FEW_TEXTS = 8  # of a query; the embeddings of such calls are kept
# Both embeddings of a message are asked for one after the other, maybe with other visitors'
# messages in between; and again for every page of its results.
KEPT_QUERIES = 128


@dataclass(frozen=True)
class Piece:
    """A slice of a file that holds weights of a tower: `size` bytes from offset `at`."""

    file: str  # relative to the export's folder
    at: int
    size: int


class ExportedEncoder:
    """The exported towers in a folder, with their preprocessing and tokenizer.

    `fingerprint` is the torch checkpoint's: the embeddings are of the same space. `precision`
    is the image tower's: float32, bfloat16 or auto for a float32 export, int8 for an int8 one.
    """

    def __init__(
        self,
        folder: Path,
        checkpoint: Checkpoint | str,
        *,
        precision: str = "float32",
        check: bool = True,
    ):
        """Read the description; CheckpointError if a file is missing or was changed.

        Without `check` the files are not hashed: `pull_export` has done it.
        """
        self.folder, self.checkpoint = folder, Checkpoint.parse(checkpoint)
        self._description = described = _read(folder)
        if check:
            _check_files(folder, described["files"])
        self.fingerprint: str = described["parent"]
        self.dim: int = described["dim"]
        self.prepare = Preprocess.read(described["preprocess"])
        self._tokens = Tokens(
            folder / described["tokenizer_file"], TokenSettings(**described["tokenizer"])
        )
        self._locks = {tower: threading.Lock() for tower in TOWERS}
        self._queues: dict[str, Any] = {}  # by tower, compiled when it is first used
        self._kept: OrderedDict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._kept_lock = threading.Lock()
        self._requested_precision = precision

    @property
    def label(self) -> str:
        """The checkpoint's spelling: "mini", "ViT-B-32/laion2b_s34b_b79k"."""
        return self.checkpoint.label

    @property
    def precision(self) -> str:
        """Of the image tower; "auto" is decided by measurement when it is first needed."""
        if self._description["precision"] == "int8":
            return "int8"
        if self._requested_precision != "auto":
            return self._requested_precision
        return self._measured.precision if self._measured else "float32"

    @property
    def precision_note(self) -> str:
        """The measurement that "auto" decided by, in a sentence; empty if there was none."""
        is_auto = self._requested_precision == "auto" and self._description["precision"] != "int8"
        return str(self._measured) if is_auto and self._measured else ""

    @cached_property
    def _measured(self) -> PrecisionMeasurement | None:
        """Rates of float32 and bfloat16; None where the processor does not list bfloat16."""
        import openvino as ov

        if not self._has_bfloat16():
            return None
        runtime = f"OpenVINO {ov.__version__}, {STREAMS} streams of {CHUNK}"
        return cached_precision(self.fingerprint, runtime, self._measure)

    def _has_bfloat16(self) -> bool:
        import openvino as ov

        return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def _measure(self) -> PrecisionMeasurement:
        float32, bfloat16 = (
            self._queue("image", precision, STREAMS) for precision in ("float32", "bfloat16")
        )
        return measure_precision(
            lambda pixels: _run(float32, _share(pixels))[0],
            lambda pixels: _run(bfloat16, _share(pixels))[0],
            probe_pixels(self.prepare.size, STREAMS * CHUNK),
        )

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit embeddings of the pictures, float32 (n, dim)."""
        return self.encode_pixels([self.prepare(image) for image in images])

    def encode_pixels(self, pixels: Pixels) -> np.ndarray:
        """Unit embeddings of prepared pictures, float32 (n, dim)."""
        if not len(pixels):
            return np.zeros((0, self.dim), np.float32)
        return self._infer("image", _share(pixels))[0]

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings of the texts, float32 (n, dim); cut as open_clip cuts them."""
        return self._encode_texts(texts)[0]

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings of the texts before the projection into the pictures' space.

        Of mini these are all-MiniLM-L6-v2's sentence embeddings, float32 (n, 384).
        """
        return self._encode_texts(texts)[1]

    def _encode_texts(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the CLIP and the sentence embedding of each text, cached for recent queries."""
        key = tuple(texts)
        with self._kept_lock:
            known = self._kept.get(key)
            if known:
                self._kept.move_to_end(key)
                return known[0].copy(), known[1].copy()
        starts = range(0, max(1, len(texts)), BATCH_SIZE)
        inputs = [self._tokens(texts[i : i + BATCH_SIZE] or ["-"]) for i in starts]
        rows, pooled = (found[: len(texts)] for found in self._infer("text", inputs))
        pooled = np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), np.float32)
        if len(key) <= FEW_TEXTS:
            with self._kept_lock:
                self._kept[key] = rows.copy(), pooled.copy()
                while len(self._kept) > KEPT_QUERIES:
                    self._kept.popitem(last=False)
        return rows, pooled

    def _infer(self, tower: str, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """A tower's outputs, the rows of all inputs in order."""
        with self._locks[tower]:  # a queue has one callback, which each call replaces
            if tower not in self._queues:
                of_tower = (self.precision, STREAMS) if tower == "image" else ("float32", 1)
                self._queues[tower] = self._queue(tower, *of_tower)
            found = _run(self._queues[tower], inputs)
        if self._description["precision"] == "int8":  # quantised lengths are not quite one
            found[0] /= np.linalg.norm(found[0], axis=1, keepdims=True)
        return found

    def _queue(self, tower: str, precision: str, streams: int) -> Any:
        import openvino as ov

        graph = (self.folder / f"{tower}.xml").read_bytes()
        core = ov.Core()
        # The tensor is a copy: what it was made of has gone before the tower is compiled.
        weights = ov.Tensor(_weights(self.folder, self._description["weights"][tower]))
        model = core.read_model(graph, weights)
        if tower == "text":
            model.add_outputs([_pooled(model)])
        hint = "bf16" if precision == "bfloat16" else "f32"
        options = {"INFERENCE_PRECISION_HINT": hint, "NUM_STREAMS": streams}
        return ov.AsyncInferQueue(core.compile_model(model, "CPU", options), streams)


def _pooled(model: Any) -> Any:
    """The output of a text tower before its projection, (n, width): the input of the first
    product of a matrix with one row per text."""
    for op in model.get_ordered_ops():
        if op.get_type_name() == "MatMul":
            rows = op.input_value(0)
            if rows.get_partial_shape().rank.get_length() == 2:
                return rows
    return model.output(0)


def _share(pixels: Pixels) -> list[np.ndarray]:
    """Split pictures into batches, so that every stream gets its share."""
    size = min(CHUNK, -(-len(pixels) // STREAMS)) or 1
    return [np.stack(batch) for batch in batches(pixels, size)]


def _run(queue: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Infer all batches; returns the rows of each output in order. One caller at a time."""
    outputs: list[list[np.ndarray]] = [[]] * len(inputs)

    def keep(request: Any, number: int) -> None:
        outputs[number] = [np.array(found.data) for found in request.output_tensors]

    queue.set_callback(keep)
    for number, batch in enumerate(inputs):
        queue.start_async({0: batch}, number)
    queue.wait_all()
    return [np.concatenate(rows) for rows in zip(*outputs, strict=True)]


def pull_export(address: Address, precision: str) -> Path | None:
    """Download the export in a repository on the Hub; None if it has none.

    Only the files that its description lists are downloaded, and checked by their hashes: the
    graphs, the tokenizer, and the checkpoint's own weights. HubError if that fails.
    """
    snapshot, home = _pull_description(address, precision)
    if snapshot is None:
        return None
    files = _read(snapshot.folder / home)["files"]
    # "../../tokenizer.json" is inside the repository; a path that leaves it is refused.
    fetch_checked(snapshot, {posixpath.normpath(home / name): files[name] for name in files})
    return snapshot.folder / home


def _pull_description(address: Address, precision: str) -> tuple[Snapshot | None, PurePosixPath]:
    home = PurePosixPath("exported", precision)
    return pull(address, f"{home}/{DESCRIPTION}"), home


def exported_fingerprint(folder: Path) -> str | None:
    """The fingerprint of the checkpoint whose export is in a folder; None if there is none.

    Only the description is read. CheckpointError if it is malformed.
    """
    return str(_read(folder)["parent"]) if (folder / DESCRIPTION).is_file() else None


def pulled_fingerprint(address: Address, precision: str = "float32") -> str | None:
    """The same for an export on the Hub, of which only the description is downloaded."""
    snapshot, home = _pull_description(address, precision)
    return exported_fingerprint(snapshot.folder / home) if snapshot else None


def _read(folder: Path) -> dict[str, Any]:
    file = folder / DESCRIPTION
    try:
        described: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if described["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {described['format_version']}")
        if not isinstance(described["parent"], str):
            raise ValueError("no fingerprint")
        used = {Piece(*piece).file for tower in TOWERS for piece in described["weights"][tower]}
        unchecked = sorted({described["tokenizer_file"], *used} - described["files"].keys())
        if unchecked:
            raise ValueError(f"no hash of {unchecked[0]}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} is no export ({error}). {_how_to_repair(folder)}") from error
    return described


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise CheckpointError unless every file, also of the checkpoint, has its hash."""
    try:
        changed = changed_files(folder, files)
    except OSError as error:
        raise CheckpointError(f"{error.filename} is missing. {_how_to_repair(folder)}") from error
    for name in changed:
        raise CheckpointError(
            f"{(folder / name).resolve()} is not the file that {folder} was exported with "
            f"(SHA-256 {sha256_of(folder / name)[:12]}, expected {files[name][:12]}). "
            f"{_how_to_repair(folder)}"
        )


def _how_to_repair(folder: Path) -> str:
    return f"Export again: reaction-search export --model …, or delete {folder} to go without."


def _weights(folder: Path, pieces: Sequence[Sequence[Any]]) -> np.ndarray:
    """Assemble a tower's weights from the files they lie in, uint8 (bytes,)."""
    listed = [Piece(*piece) for piece in pieces]
    weights = np.empty(sum(piece.size for piece in listed), np.uint8)
    maps = {f: np.memmap(folder / f, np.uint8, "r") for f in {piece.file for piece in listed}}
    at = 0
    for piece in listed:
        weights[at : at + piece.size] = maps[piece.file][piece.at : piece.at + piece.size]
        at += piece.size
    return weights

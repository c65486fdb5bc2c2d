"""An exported checkpoint: both towers as OpenVINO graphs, without torch or open_clip.

    encoder.json    what it was made from, preprocessing, tokenizer, agreement, file hashes
    image.xml, text.xml   the towers: uint8 pixels and token numbers to unit embeddings
    weights.bin     their weights; only what the checkpoint's own files do not hold already
    tokenizer.json  unless the checkpoint has it

The one importer of openvino for serving; retrieval.encoders.export writes such a folder. A tower
is compiled when it is first used, so that a search by text never loads the other.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.encoders.base import SAME_EMBEDDING, Pixels, batches, probe_pixels
from retrieval.encoders.checkpoint import label_of
from retrieval.encoders.preprocess import Preprocess
from retrieval.encoders.tokenizer import Tokens, TokenSettings
from retrieval.errors import CheckpointError
from retrieval.hub import Address, Notes, Snapshot, fetch_checked, pull, sha256_of

if TYPE_CHECKING:
    from PIL import Image

FORMAT_VERSION = 1
# A batch of pictures goes through the image tower in so many streams of a thread or more
# each, which do not wait for one another: while the decoding of frames takes a core, the
# other streams lose nothing. With two, ViT-B-32 (2 cores) encodes 45.5 pictures a second in
# place of 43.8 in bfloat16, 76 in place of 54 to 74 in int8.
STREAMS = max(1, min(4, os.cpu_count() or 1))
CHUNK = 16  # pictures at once in a stream; with 32 the last ones end further apart
DESCRIPTION = "encoder.json"
WEIGHTS = "weights.bin"
TOWERS = ("image", "text")


@dataclass(frozen=True)
class Piece:
    """Bytes of a tower's weights that lie in a file: `size` of them from `at` on."""

    file: str  # relative to the export's folder
    at: int
    size: int


class ExportedEncoder:
    """The exported towers in a folder, with their preprocessing and tokenizer.

    `name` and `pretrained` are what the checkpoint was asked for as. `fingerprint` is
    the torch checkpoint's: the embeddings are of the same space. `precision` is the
    image tower's: float32, bfloat16 or auto for a float32 export, int8 for an int8 one.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        pretrained: str | None = None,
        *,
        precision: str = "float32",
        check: bool = True,
    ):
        """Read the description; CheckpointError if a file is missing or was changed.

        Without `check` that is not looked for: `pull_export` has done it.
        """
        self.folder, self.name, self.pretrained = folder, name, pretrained
        self._description = described = _read(folder)
        if check:
            _check_files(folder, described["files"])
        self.fingerprint: str = described["parent"]
        self.dim: int = described["dim"]
        self.image_gflop: float = described["image_gflop"]
        self.prepare = Preprocess(**_tuples(described["preprocess"]))
        self._tokens = Tokens(
            folder / described["tokenizer_file"], TokenSettings(**described["tokenizer"])
        )
        self._locks = {tower: threading.Lock() for tower in TOWERS}
        self._asked_precision = precision

    @property
    def label(self) -> str:
        """The checkpoint in one word: "mini", "ViT-B-32/laion2b_s34b_b79k"."""
        return label_of(self.name, self.pretrained)

    @cached_property
    def precision(self) -> str:
        """Of the image tower; "auto" is decided, by trying, when it is first asked."""
        if self._description["precision"] == "int8" or self._asked_precision != "auto":
            return self._asked_precision
        return "bfloat16" if self._bfloat16_serves() else "float32"

    def _bfloat16_serves(self) -> bool:
        """Whether bfloat16 is fast here and gives the same embeddings."""
        from openvino import Core

        if "BF16" not in Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            return False
        probes = probe_pixels(self.prepare.size)
        exact, rounded = (self._compile("image", p)(probes)[0] for p in ("float32", "bfloat16"))
        return bool((exact * rounded).sum(axis=1).min() >= SAME_EMBEDDING)

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit embeddings of the pictures, float32 (n, dim)."""
        return self.encode_pixels([self.prepare(image) for image in images])

    def encode_pixels(self, pixels: Pixels) -> np.ndarray:
        """Unit embeddings of prepared pictures, float32 (n, dim)."""
        size = min(CHUNK, -(-len(pixels) // STREAMS)) or 1  # a share for each stream
        return self._encoded("image", [np.stack(batch) for batch in batches(pixels, size)])

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings of the texts, float32 (n, dim); cut as open_clip cuts them."""
        return self._encoded("text", [self._tokens(batch) for batch in batches(texts)])

    def _encoded(self, tower: str, inputs: list[np.ndarray]) -> np.ndarray:
        done = [np.zeros((0, self.dim), np.float32)] * (len(inputs) or 1)

        def keep(request: Any, number: int) -> None:
            done[number] = np.array(request.get_output_tensor(0).data)

        with self._locks[tower]:  # the queue's callback is set anew for each call
            queue = self._image if tower == "image" else self._text
            queue.set_callback(keep)
            for number, batch in enumerate(inputs):
                queue.start_async({0: batch}, number)
            queue.wait_all()
        rows = np.concatenate(done)
        if self._description["precision"] == "int8":  # quantised, a unit length is not quite one
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    @cached_property
    def _image(self) -> Any:
        return self._queue("image", self.precision, STREAMS)

    @cached_property
    def _text(self) -> Any:
        return self._queue("text", "float32", 1)

    def _queue(self, tower: str, precision: str, streams: int) -> Any:
        import openvino as ov

        return ov.AsyncInferQueue(self._compile(tower, precision, streams), streams)

    def _compile(self, tower: str, precision: str, streams: int = 1) -> Any:
        import openvino as ov

        graph = (self.folder / f"{tower}.xml").read_bytes()
        weights = _weights(self.folder, self._description["weights"][tower])
        core = ov.Core()
        model = core.read_model(graph, ov.Tensor(weights))
        hint = "bf16" if precision == "bfloat16" else "f32"
        options = {"INFERENCE_PRECISION_HINT": hint, "NUM_STREAMS": streams}
        return core.compile_model(model, "CPU", options)


def pull_export(address: Address, precision: str) -> Path | None:
    """The folder of the export in a repository on the Hub; None if it has none.

    Only what its description names is fetched, each file checked by its hash: the graphs,
    the tokenizer, and the checkpoint's own weights. HubError if that fails.
    """
    snapshot, home = _pull_description(address, precision)
    if snapshot is None:
        return None
    files = _read(snapshot.folder / home)["files"]
    # "../../tokenizer.json" is a file of the repository; what leaves it is refused.
    fetch_checked(snapshot, {posixpath.normpath(home / name): files[name] for name in files})
    return snapshot.folder / home


def _pull_description(address: Address, precision: str) -> tuple[Snapshot | None, PurePosixPath]:
    home = PurePosixPath("exported", precision)
    return pull(address, f"{home}/{DESCRIPTION}"), home


def exported_fingerprint(folder: Path) -> str | None:
    """The fingerprint of the checkpoint whose export is in a folder; None if there is none.

    The description alone is read. CheckpointError if it is none.
    """
    return _read(folder)["parent"] if (folder / DESCRIPTION).is_file() else None


def pulled_fingerprint(address: Address, precision: str = "float32") -> str | None:
    """The same of an export in a repository on the Hub; the description alone is fetched."""
    snapshot, home = _pull_description(address, precision)
    return exported_fingerprint(snapshot.folder / home) if snapshot else None


def _read(folder: Path) -> dict[str, Any]:
    file = folder / DESCRIPTION
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        if described["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {described['format_version']}")
        if not isinstance(described["parent"], str):
            raise ValueError("no fingerprint")
        used = {Piece(*piece).file for tower in TOWERS for piece in described["weights"][tower]}
        unchecked = sorted({described["tokenizer_file"], *used} - described["files"].keys())
        if unchecked:
            raise ValueError(f"no hash of {unchecked[0]}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} is no export ({error}). {_mend(folder)}") from error
    return described


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    """CheckpointError unless each file, the checkpoint's own among them, has its hash."""
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    notes = Notes(folder, f"export--{place}")
    for name, expected in files.items():
        try:
            agrees = notes.agree(name, expected)
        except OSError as error:
            raise CheckpointError(f"{folder / name} is missing. {_mend(folder)}") from error
        if not agrees:
            raise CheckpointError(
                f"{(folder / name).resolve()} is not the file that {folder} was exported with "
                f"(SHA-256 {sha256_of(folder / name)[:12]}, expected {expected[:12]}). "
                f"{_mend(folder)}"
            )
    notes.write()


def _mend(folder: Path) -> str:
    return (
        f"Export again: python scripts/export_encoder.py --model …, or delete {folder} to go "
        f"without."
    )


def _tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


def _weights(folder: Path, pieces: Sequence[Sequence[Any]]) -> np.ndarray:
    """A tower's weights put together from the files they lie in, uint8 (bytes,)."""
    listed = [Piece(*piece) for piece in pieces]
    weights = np.empty(sum(piece.size for piece in listed), np.uint8)
    maps = {f: np.memmap(folder / f, np.uint8, "r") for f in {piece.file for piece in listed}}
    at = 0
    for piece in listed:
        weights[at : at + piece.size] = maps[piece.file][piece.at : piece.at + piece.size]
        at += piece.size
    return weights

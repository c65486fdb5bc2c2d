"""Export any open_clip checkpoint as OpenVINO graphs (retrieval.encoders.openvino).

torch.export → OpenVINO. Measured on 2 cores with AMX (ViT-B-32, pictures a second):
torch 28 in float32, 35 in bfloat16; ONNX Runtime 14 in float32, 34 in int8; OpenVINO 29
in float32, 134 in bfloat16, 59 in int8. Hence OpenVINO.

Weights that the checkpoint's own files hold bit for bit are referenced, not copied: for
`mini`, all but 0.3 MB of 56.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.encoders.base import probe_pixels
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.openvino import DESCRIPTION, FORMAT_VERSION, TOWERS, ExportedEncoder
from retrieval.encoders.shared_weights import share_weights
from retrieval.encoders.tokenizer import (
    CLEANINGS,
    Tokens,
    TokenSettings,
    clean_text,
    clip_tokenizer,
)
from retrieval.encoders.weights import quiet
from retrieval.errors import CheckpointError
from retrieval.hub import sha256_of, stays_inside
from retrieval.output import StagedFolder, check_replaceable, resolve_output

# isort: split
# After retrieval.encoders.openvino, which keeps OpenVINO from reporting its import.
import openvino as ov
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

SAME_AS_TORCH = 0.9999  # least cosine that a float32 export must reach
MAX_BATCH = 4_096

# An exported tokenizer must give the same token numbers as open_clip's for these.
SAMPLE_TEXTS = (
    "I got the job 🎉",
    "a photo of a cat, isn't it?",
    "  Two   spaces &amp; an entity; x_y — naïve café 12345 ",
    "안녕하세요! ¿Qué tal? 你好 нет",
    "so tired 😴😴 !!! ... #monday @you http://a.b",
    "I'll we've you're they'd he's don't",
    "word " * 200,
    "?",
    "",
)


class _ImageTower(torch.nn.Module):
    """uint8 (b, height, width, 3) to unit embeddings (b, dim)."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, encoder: OpenClipEncoder):
        super().__init__()
        self.model = encoder.model
        self.register_buffer("mean", torch.tensor(encoder.prepare.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(encoder.prepare.std).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        values = pixels.permute(0, 3, 1, 2).float() / 255
        features = self.model.encode_image((values - self.mean) / self.std)
        return torch.nn.functional.normalize(features, dim=-1)


class _TextTower(torch.nn.Module):
    """Token numbers, int64 (b, t), to unit embeddings (b, dim), and to those of sentences."""

    def __init__(self, encoder: OpenClipEncoder, *, sentences: bool):
        super().__init__()
        self.model, self._sentences = encoder.model, sentences

    def forward(self, tokens: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        normalize = torch.nn.functional.normalize
        if not self._sentences:
            return normalize(self.model.encode_text(tokens), dim=-1)
        pooled: list[torch.Tensor] = []
        projection = self.model.text.proj
        hook = projection.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0]))
        features = self.model.encode_text(tokens)
        hook.remove()
        return normalize(features, dim=-1), normalize(pooled[0], dim=-1)


def export_encoder(
    encoder: OpenClipEncoder,
    out: Path,
    *,
    precision: str = "float32",
    calibration: Sequence[np.ndarray] = (),
) -> ExportedEncoder:
    """Export `encoder` to the folder `out`, replacing an earlier export; return the new encoder.

    int8 quantises the weights and activations of the image tower, calibrated on the
    `calibration` pictures (prepared pixels, some 100 to 300), and the weights of the text
    tower. Where `out` is inside the checkpoint's folder, the weights that lie there are not
    copied. CheckpointError if the checkpoint cannot be exported, or the embeddings of the
    export differ; OutputError if `out` holds other files and no export.
    """
    out = check_output(out)
    home = encoder.checkpoint.folder
    home = home.resolve() if home and out.is_relative_to(home.resolve()) else None
    with StagedFolder(out, owned_files) as staged:
        partial = staged.path
        settings, tokenizer_file = write_tokenizer(encoder, partial, home)
        # Half the size, and the same numbers, where the weights were stored in float16.
        half = all(_fits_half(weight) for weight in encoder.model.state_dict().values())
        towers = _convert(encoder, trim=settings.trim)
        if precision == "int8":
            towers = _quantise(encoder, towers, calibration)
        for tower, model in towers.items():
            ov.save_model(model, partial / f"{tower}.xml", compress_to_fp16=half)
        pieces = share_weights(partial, home)
        described = {
            "format_version": FORMAT_VERSION,
            "checkpoint": home.name if home else encoder.checkpoint.model,
            "pretrained": encoder.checkpoint.tag,
            "parent": encoder.fingerprint,
            "precision": precision,
            "dim": encoder.dim,
            "preprocess": asdict(encoder.prepare),
            "tokenizer": asdict(settings),
            "tokenizer_file": tokenizer_file,
            "weights": {t: [[p.file, p.at, p.size] for p in pieces[t]] for t in TOWERS},
        }
        names = {f"{tower}.xml" for tower in TOWERS} | {tokenizer_file}
        names |= {piece.file for tower in TOWERS for piece in pieces[tower]}
        described["files"] = {name: sha256_of(partial / name) for name in sorted(names)}
        text = json.dumps(described, indent=1, ensure_ascii=False)
        # one line a piece of weights, not four
        text = re.sub(r"\[\s+(\"[^\"]*\"),\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2, \3]", text)
        (partial / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        made = ExportedEncoder(partial, encoder.checkpoint, precision=precision)
        if precision == "float32":
            _check_agreement(encoder, made)
        staged.commit()
    return ExportedEncoder(out, encoder.checkpoint, precision=precision)


def check_output(out: Path) -> Path:
    """Resolve the folder to export to; OutputError if other files lie there."""
    out = resolve_output(out)
    check_replaceable(out, owned_files, "an export")
    return out


def owned_files(folder: Path) -> tuple[str, ...] | None:
    """The files that an export's description lists, itself last; None if it is no export."""
    if not (folder / DESCRIPTION).is_file():
        return None
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        names = [name for name in described["files"] if stays_inside(name)]
        return (*names, DESCRIPTION) if described["weights"] else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def trace_tower(
    encoder: OpenClipEncoder, tower: str, *, trim: bool, sentences: bool = False
) -> torch.export.ExportedProgram:
    """The computation of a tower ("image" or "text") for any number of rows.

    With `trim` the rows of a text tower may be shorter than its context, with `sentences` it also
    gives their unit embeddings before its projection. CheckpointError if it cannot be traced.
    """
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    shape: dict[int, Any] = {0: batch}
    module: torch.nn.Module
    if tower == "image":
        module = _ImageTower(encoder)
        example = torch.from_numpy(probe_pixels(encoder.prepare.size, 2))
    else:
        module = _TextTower(encoder, sentences=sentences)
        example = encoder.tokenize(["a sample of a text", "another one"])
        if trim:
            context = encoder.tokenizer.context_length
            shape[1] = torch.export.Dim("length", min=2, max=context - 1)
    with translated_failures(encoder, tower), quiet(), torch.no_grad():
        return torch.export.export(module.eval(), (example,), dynamic_shapes=(shape,), strict=False)


@contextmanager
def translated_failures(encoder: OpenClipEncoder, tower: str) -> Iterator[None]:
    """Turn any error, as torch and OpenVINO raise many types, into a CheckpointError."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise CheckpointError(
            f"The {tower} tower of {encoder.label} cannot be exported ({reason}). It can "
            f"still be used with torch: --runtime torch"
        ) from error


def _convert(encoder: OpenClipEncoder, *, trim: bool) -> dict[str, ov.Model]:
    frontend = FrontEndManager().load_by_framework("pytorch")
    converted = {}
    for tower in TOWERS:
        program = trace_tower(encoder, tower, trim=trim)
        # Not ov.convert_model: it would fold batch normalisation into the weights,
        # which then no longer lie in the checkpoint. Compiling folds it all the same.
        with translated_failures(encoder, tower), quiet():
            decoder = TorchFXPythonDecoder.from_exported_program(program)
            converted[tower] = frontend.convert(frontend.load(decoder))
    return converted


def _quantise(
    encoder: OpenClipEncoder, towers: dict[str, ov.Model], calibration: Sequence[np.ndarray]
) -> dict[str, ov.Model]:
    try:
        with redirect_stdout(io.StringIO()):  # its log goes to what standard output is now
            import nncf
            from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    except ImportError as error:
        raise CheckpointError(
            "int8 needs the package nncf. Install it, in the project's folder: "
            "pip install '.[train]'"
        ) from error
    if len(calibration) < 16:
        raise CheckpointError(
            f"int8 needs pictures to measure the activations with; {len(calibration)} were given, "
            f"expected 16 or more. Name a folder of GIFs: --calibration FOLDER"
        )
    # nncf's default clips the activations at the mean of the pictures' maxima, which costs
    # `mini` 4 % of its top-10 lists (93.8 % the same, 97.7 % without clipping).
    whole_range = nncf.AdvancedQuantizationParameters(
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
    )
    attends = any("attn" in name for name, _ in encoder.model.visual.named_modules())
    with quiet(), redirect_stdout(io.StringIO()):  # it prints progress bars and tables
        image = nncf.quantize(
            towers["image"],
            nncf.Dataset([picture[None] for picture in calibration]),
            subset_size=len(calibration),
            model_type=nncf.ModelType.TRANSFORMER if attends else None,
            advanced_parameters=whole_range,
        )
        text = nncf.compress_weights(towers["text"], mode=nncf.CompressWeightsMode.INT8_SYM)
    return {"image": image, "text": text}


def write_tokenizer(
    encoder: OpenClipEncoder, out: Path, home: Path | None
) -> tuple[TokenSettings, str]:
    """Its settings and its file (relative to `out`); compared with open_clip's on samples."""
    theirs = encoder.tokenizer
    texts = (*SAMPLE_TEXTS, "A_B, c!  D")
    cleaned = [theirs.clean_fn(text) for text in texts]
    alike = (name for name in CLEANINGS if [clean_text(t, name) for t in texts] == cleaned)
    clean = next(alike, None)
    inner: Any = getattr(theirs, "tokenizer", None)
    backend = getattr(inner, "backend_tokenizer", None)
    file = "tokenizer.json"
    settings = None
    if clean and backend is not None and not theirs.tokenizer_mode:
        if home and (home / file).is_file():
            file = os.path.relpath(home / file, out)
        else:
            backend.save(str(out / file))
        settings = TokenSettings(
            "hf",
            clean,
            theirs.context_length,
            pad_id=inner.pad_token_id,
            zeroed_id=inner.sep_token_id if theirs.strip_sep_token else None,
            spell_out_emoji=encoder.spells_out_emoji,
            trim=encoder.trailing_pad is not None,
        )
    elif clean and hasattr(theirs, "bpe_ranks") and theirs.reduction_fn is None:
        clip_tokenizer(theirs.encoder, list(theirs.bpe_ranks)).save(str(out / file))
        settings = TokenSettings(
            "clip", clean, theirs.context_length, 0, theirs.sot_token_id, theirs.eot_token_id
        )
    if settings is not None:
        ours, their = Tokens(out / file, settings), encoder.tokenize
        pad = settings.pad_id  # a trimmed row may end in more padding than theirs
        if all(_same_but_padding(ours([t]), their([t]).numpy(), pad) for t in SAMPLE_TEXTS):
            return settings, file
    raise CheckpointError(
        f"The tokenizer of {encoder.label} ({type(theirs).__name__}) cannot be exported. The "
        f"checkpoint can still be used with torch: --runtime torch"
    )


def _same_but_padding(ours: np.ndarray, theirs: np.ndarray, pad_id: int) -> bool:
    width = max(ours.shape[1], theirs.shape[1])

    def widened(rows: np.ndarray) -> np.ndarray:
        return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=pad_id)

    return bool(np.array_equal(widened(ours), widened(theirs)))


def _fits_half(weight: torch.Tensor) -> bool:
    return not weight.is_floating_point() or bool((weight.half().float() == weight).all())


def _check_agreement(encoder: OpenClipEncoder, made: ExportedEncoder) -> None:
    pixels = probe_pixels(encoder.prepare.size)
    for tower, ours, theirs in (
        ("image", made.encode_pixels(pixels), encoder.encode_pixels(pixels)),
        ("text", made.encode_text(SAMPLE_TEXTS), encoder.encode_text(SAMPLE_TEXTS)),
    ):
        worst = float((ours * theirs).sum(axis=1).min())
        if not worst >= SAME_AS_TORCH:
            raise CheckpointError(
                f"The exported {tower} tower of {encoder.label} gives other embeddings than "
                f"torch (cosine {worst:.5f}, expected {SAME_AS_TORCH}). Use --runtime torch."
            )

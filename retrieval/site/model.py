"""Write a checkpoint's towers as ONNX graphs that a browser runs.

    model.json       each tower's file, inputs, outputs and tokenizer; how well they agree
    text.onnx        the text tower: token numbers, int64 (b, t), to unit embeddings (b, dim)
    text.weights     its weights in eight bits
    tokenizer.json   its tokenizer
    sentence.*, sentence-tokenizer.json   mini's, if sentences are compared by another text tower
    image.*          uint8 pixels (b, height, width, 3) to unit embeddings, if it is small

torch.onnx.export of the same traces of which retrieval.encoders.export makes OpenVINO graphs;
retrieval.site.weights stores their weights in eight bits. Needs the packages of the extra `static`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.encoders import PRESETS, Checkpoint
from retrieval.encoders.sentences import MINI
from retrieval.errors import CheckpointError
from retrieval.search import Searcher
from retrieval.site.agreement import Agreement, measure_agreement
from retrieval.site.arrays import write_arrays, write_bytes
from retrieval.site.onnx_encoder import PIXELS, TOKENS, simplified
from retrieval.web.advice import visible_label

if TYPE_CHECKING:
    from retrieval.encoders.open_clip import OpenClipEncoder

MODEL = "model.json"
TOKENIZER = "tokenizer.json"
MAX_TEXT_BYTES, MAX_IMAGE_BYTES = 150_000_000, 25_000_000
BYTES_PER_PARAMETER = 1 + 2 / 32  # int8, and a float16 scale per 32 of them
OPSET = 20  # the first with GELU as one operator
# Not "embedding", which torch calls a value inside the graph.
EMBEDDING, SENTENCE = "unit_embedding", "sentence_embedding"


def check_text_tower(checkpoint: Checkpoint) -> None:
    """CheckpointError if the text tower is too large for visitors; before anything is loaded.

    Where that cannot be told without a download, `write_model` raises it.
    """
    from retrieval.encoders.weights import count_parameters  # torch

    if counts := count_parameters(checkpoint):
        _check_size(checkpoint, counts["text"])


def write_model(
    searcher: Searcher, folder: Path, vendor: Mapping[str, Any] | None = None
) -> Agreement:
    """Write the towers of a searcher's checkpoint into a folder, and how well they agree with it.

    `vendor` describes what runs them (retrieval.site.vendor), for the engine.
    CheckpointError if they are too large, cannot be exported, or are another checkpoint's.
    """
    from retrieval.encoders.open_clip import OpenClipEncoder
    from retrieval.encoders.weights import parameters_of

    checkpoint = searcher.encoder.checkpoint
    check_text_tower(checkpoint)
    encoder = OpenClipEncoder(checkpoint)
    searcher.collection.check_encoder(encoder)
    counts = parameters_of(encoder.model)
    _check_size(checkpoint, counts["text"])
    folder.mkdir(parents=True, exist_ok=True)
    has_sentences = len(searcher.signals) > 1
    is_mini = checkpoint == MINI
    towers: dict[str, Any] = {
        "message": _write_text(encoder, folder, "text", TOKENIZER, has_sentences and is_mini),
        "sentence": None,
        "image": None,
    }
    if has_sentences and not is_mini:
        mini, file = OpenClipEncoder(MINI), f"sentence-{TOKENIZER}"
        towers["sentence"] = _write_text(mini, folder, "sentence", file, True)
    if counts["image"] * BYTES_PER_PARAMETER <= MAX_IMAGE_BYTES:
        towers["image"] = _write_image(encoder, folder)
    agreement = measure_agreement(searcher, folder, towers)
    facts = {
        "checkpoint": visible_label(searcher),
        "fingerprint": encoder.fingerprint,
        "dim": encoder.dim,
        "towers": towers,
        "vendor": vendor or {},
        "agreement": asdict(agreement),
    }
    (folder / MODEL).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    return agreement


def _check_size(checkpoint: Checkpoint, n_parameters: int) -> None:
    from retrieval.encoders.weights import count_parameters

    size = n_parameters * BYTES_PER_PARAMETER
    if size <= MAX_TEXT_BYTES:
        return
    smaller = []
    for name in PRESETS:
        other = count_parameters(Checkpoint.parse(name))
        if other and other["text"] * BYTES_PER_PARAMETER <= MAX_TEXT_BYTES:
            smaller.append(f"{name} ({other['text'] * BYTES_PER_PARAMETER / 1e6:.0f} MB)")
    raise CheckpointError(
        f"The text tower of {checkpoint} has {size / 1e6:.0f} MB in eight bits, which every "
        f"visitor of a static site would download; expected {MAX_TEXT_BYTES / 1e6:.0f} MB or less. "
        f"Build the library with a smaller checkpoint: --model {' or '.join(smaller)}."
    )


def _write_text(
    encoder: OpenClipEncoder, folder: Path, name: str, tokenizer: str, sentences: bool
) -> dict[str, Any]:
    """Write a text tower and its tokenizer; returns its part of model.json."""
    from retrieval.encoders.export import write_tokenizer

    with tempfile.TemporaryDirectory() as temporary:
        settings, file = write_tokenizer(encoder, Path(temporary), encoder.checkpoint.folder)
        described = json.loads((Path(temporary) / file).read_text(encoding="utf-8"))
    described |= {"truncation": None, "padding": None}  # whoever reads it does both by itself
    (folder / tokenizer).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    outputs = {"embedding": EMBEDDING, "sentence": SENTENCE if sentences else None}
    facts = _write_graph(encoder, "text", folder / f"{name}.onnx", outputs, settings.trim)
    return {**facts, "tokenizer": tokenizer, "token_settings": asdict(settings)}


def _write_image(encoder: OpenClipEncoder, folder: Path) -> dict[str, Any]:
    outputs = {"embedding": EMBEDDING, "sentence": None}
    facts = _write_graph(encoder, "image", folder / "image.onnx", outputs, False)
    return {**facts, "tokenizer": None, "preprocess": asdict(encoder.prepare)}


def _write_graph(
    encoder: OpenClipEncoder, tower: str, file: Path, outputs: dict[str, str | None], trim: bool
) -> dict[str, Any]:
    import onnx
    import torch

    from retrieval.encoders.export import trace_tower, translated_failures
    from retrieval.encoders.weights import quiet
    from retrieval.site.weights import BLOCK, in_eight_bits

    given = PIXELS if tower == "image" else TOKENS
    program = trace_tower(encoder, tower, trim=trim, sentences=outputs["sentence"] is not None)
    with translated_failures(encoder, tower), quiet(), redirect_stdout(StringIO()):
        exported = torch.onnx.export(
            program,
            (),
            input_names=[given],
            output_names=[name for name in outputs.values() if name],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        if exported is None:
            raise ValueError("torch gave no graph")
        whole = onnx.load_from_string(simplified(exported.model_proto.SerializeToString()))
        location = file.with_suffix(".f32").name
        graph, weights = in_eight_bits(whole, location)
    stored = file.with_suffix(".weights")
    return {
        "file": file.name,
        **write_bytes(file, graph.SerializeToString()),
        "weights": {
            "file": stored.name,
            **write_arrays(stored, weights.arrays),
            "block": BLOCK,
            "location": location,
            "size": weights.size_bytes,
            "tensors": [asdict(tensor) for tensor in weights.tensors],
        },
        "inputs": [given],
        "outputs": outputs,
    }

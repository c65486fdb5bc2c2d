"""Encoders: text and pictures to unit embeddings, from a checkpoint.

The encoders themselves are imported by their modules (`retrieval.encoders.open_clip`,
`retrieval.encoders.openvino`, `retrieval.encoders.export`), for they need heavy libraries."""

from retrieval.encoders.base import (
    BATCH_SIZE,
    DEVICES,
    PRECISIONS,
    RUNTIMES,
    Encoder,
    Pixels,
    probe_pixels,
)
from retrieval.encoders.checkpoint import (
    HF_HUB,
    LOCAL_DIR,
    checkpoint_folder,
    export_folder,
    label_of,
    split_label,
)
from retrieval.encoders.emoji_text import spell_out
from retrieval.encoders.load import find_export, load_encoder
from retrieval.encoders.presets import CHECKPOINTS, PRESETS

__all__ = [
    "BATCH_SIZE",
    "CHECKPOINTS",
    "DEVICES",
    "HF_HUB",
    "LOCAL_DIR",
    "PRECISIONS",
    "PRESETS",
    "RUNTIMES",
    "Encoder",
    "Pixels",
    "checkpoint_folder",
    "export_folder",
    "find_export",
    "label_of",
    "load_encoder",
    "probe_pixels",
    "spell_out",
    "split_label",
]

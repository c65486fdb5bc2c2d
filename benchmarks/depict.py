"""Make a checkpoint that only depicts, as the ones of CLIP's kind do, to measure signals with.

It is mini with its text projection fitted anew, on titles and tags of the starter library alone:
no message tells it which picture answers what. Its pictures' embeddings are mini's.

    python -m benchmarks.depict FOLDER
    reaction-search build index/starter/media --out INDEX --model local-dir:FOLDER
"""

from __future__ import annotations

import argparse
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from retrieval.cli.console import parser_for, run
from retrieval.encoders import CHECKPOINTS, Checkpoint
from retrieval.encoders.export import export_encoder
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.weights import TRAINED_PART, load_folder
from retrieval.errors import OutputError
from retrieval.evaluation import load_messages
from retrieval.evaluation.art import Emoji, key_of_char
from retrieval.evaluation.metrics import hit_rate_at_k, ranks_of
from retrieval.evaluation.tasks import relevant_to
from retrieval.library import Bundle, Record, gif_means
from retrieval.paths import STARTER
from retrieval.training import trainer
from retrieval.training.checkpoint_folder import save_trained
from retrieval.training.corpus import Text

MINI = CHECKPOINTS / "mini"
STEPS = 1500  # half of mini's, for a fraction of its texts


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("folder", type=Path, help="new folder, to write the checkpoint to")
    make(parser.parse_args())


def make(args: argparse.Namespace) -> None:
    bundle, folder = Bundle.open(STARTER), args.folder
    if folder.exists():
        raise OutputError(f"{folder} exists. Name a new folder.")
    embeddings = bundle.embeddings
    means = np.concatenate(list(gif_means(embeddings.vectors, embeddings.starts())))
    folder.mkdir(parents=True)
    for file in MINI.iterdir():
        if file.is_file() and file.name not in (TRAINED_PART, "README.md"):
            shutil.copyfile(file, folder / file.name)
    fit(folder, list(bundle.records), means.astype(np.float32))
    checkpoint = Checkpoint.of_folder(folder)
    encoder = OpenClipEncoder(checkpoint)
    export_encoder(encoder, checkpoint.export_folder("float32"))
    titles = [record.title for record in bundle.records]
    own = ranks_of(encoder.encode_text(titles) @ means.T, np.eye(len(titles), dtype=bool))
    print(f"own title: hit@1 {hit_rate_at_k(own, 1):.3f}")
    for part in ("dev", "test"):
        messages = load_messages(part)
        scores = encoder.encode_text([m.text for m in messages]) @ means.T
        ranks = ranks_of(scores, relevant_to(messages, list(bundle.records)))
        at_1, at_5 = hit_rate_at_k(ranks, 1), hit_rate_at_k(ranks, 5)
        print(f"{part}, frames: hit@1 {at_1:.3f}, hit@5 {at_5:.3f}")


def fit(folder: Path, records: list[Record], means: np.ndarray) -> None:
    """Fit the text projection to the GIFs' means and save the checkpoint."""
    model, _, tokenizer = load_folder(MINI)
    text_proj, model.text.proj = model.text.proj, nn.Identity()
    texts = [Text(record.title, (i,), "name") for i, record in enumerate(records)]
    carriers: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        for tag in record.tags:
            carriers[tag].append(i)
    texts += [Text(tag, tuple(found), "tag") for tag, found in carriers.items()]
    features = trainer.text_features(model.eval(), tokenizer, [text.text for text in texts])
    emoji = [Emoji(key_of_char(r.emoji), r.emoji, (r.title,), r.tags, None) for r in records]
    pixel = np.zeros((1, 1, 4), np.uint8)  # the pictures are embedded already
    corpus = trainer.Corpus({"none": {e.key: pixel for e in emoji}}, emoji, texts, features)
    for layer in text_proj.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    settings = replace(trainer.Settings(), read_steps=STEPS)
    text_proj = trainer.learn_to_read(text_proj, torch.from_numpy(means), corpus, settings, print)
    save_trained(folder, model, model.visual, text_proj)


if __name__ == "__main__":
    run(main)

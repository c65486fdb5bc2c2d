"""Train the `mini` checkpoint from emoji art, names and chat messages.

Downloads the art (npm packages, about 40 MB), draws it, trains on the CPU, writes
trained.safetensors beside the frozen text tower, and exports both towers.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from retrieval.cli.console import progress_bar
from retrieval.encoders import CHECKPOINTS, Checkpoint


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        default=CHECKPOINTS / "mini",
        help="checkpoint folder with the config and the text tower",
    )
    add("--cache", type=Path, default=Path("data/cache"), help="folder of downloaded and drawn art")
    add(
        "--steps",
        type=float,
        default=1.0,
        help="share of the full number of training steps, below 1 for a quick try",
    )
    add(
        "--only-read",
        action="store_true",
        help="keep the vision tower and fit only the text projection again",
    )
    add(
        "--reactions",
        action="store_true",
        help="fit the reaction model on the frozen text tower, and nothing else; no download",
    )


def execute(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from retrieval.encoders.export import export_encoder  # torch, two seconds
    from retrieval.encoders.open_clip import OpenClipEncoder
    from retrieval.evaluation import art
    from retrieval.training import corpus, trainer
    from retrieval.training.checkpoint_folder import check_folder

    check_folder(args.out)
    start = time.monotonic()

    def report(message: str) -> None:
        tqdm.write(f"[{(time.monotonic() - start) / 60:5.1f} min] {message}")

    if args.reactions:
        from retrieval.encoders.openvino import ExportedEncoder
        from retrieval.training import reactions

        exported = Checkpoint.of_folder(args.out).export_folder("float32")
        embed = ExportedEncoder(exported, Checkpoint.of_folder(args.out)).encode_sentences
        reactions.train_reactions(args.out, embed, reactions.ReactionCorpus.load(), report)
        return
    settings = trainer.Settings()
    settings = replace(
        settings,
        stages=tuple((size, max(1, round(n * args.steps))) for size, n in settings.stages),
        read_steps=max(1, round(settings.read_steps * args.steps)),
    )
    emoji = art.load_emoji(args.cache)
    stills = {}
    for style in art.TRAIN_STYLES:
        with progress_bar(style, "picture") as progress:
            stills[style] = art.stills(style, emoji, args.cache, trainer.STILL_SIDE, progress)
    texts = corpus.training_texts(emoji)
    report(f"{len(emoji)} emoji, {sum(map(len, stills.values()))} stills, {len(texts)} texts")
    trainer.train(args.out, emoji, stills, texts, settings, report, only_read=args.only_read)
    checkpoint = Checkpoint.of_folder(args.out)
    export_encoder(OpenClipEncoder(checkpoint), checkpoint.export_folder("float32"))
    report("exported")

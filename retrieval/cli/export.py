"""Export a checkpoint, to search without torch and to encode faster on a CPU.

Writes both towers, the tokenizer and the preprocessing beside the checkpoint's weights (or into
the user's cache, for checkpoints that open_clip downloads), where search and build find them.
Then prints how well the export agrees with the checkpoint, on frames of the starter library and
on the development messages.

reaction-search export --model siglip2
reaction-search export --model mini --precision int8 --calibration my-gifs/
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL.Image import Image

from retrieval.build import open_source
from retrieval.encoders import Checkpoint, Encoder
from retrieval.evaluation import hit_rate_at_k, load_messages, overlap_at_k, ranks_of, relevant_to
from retrieval.library import MEDIA, Record
from retrieval.media import read_media
from retrieval.paths import STARTER

N_PICTURES = 300


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", default="mini", metavar="PRESET|NAME", help="as for reaction-search build")
    add("--pretrained", metavar="TAG", help="open_clip tag of a NAME's weights")
    add("--precision", choices=("float32", "int8"), default="float32", help="of the image tower")
    add(
        "--calibration",
        type=Path,
        default=STARTER / MEDIA,
        metavar="FOLDER",
        help="pictures like those to be indexed, to calibrate int8 with",
    )
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="another folder than the one it is used from: a new path, an empty folder, or an "
        "earlier export",
    )
    add("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> None:
    from retrieval.encoders.export import check_output, export_encoder  # torch, two seconds
    from retrieval.encoders.open_clip import OpenClipEncoder

    checkpoint = Checkpoint.parse(args.model, args.pretrained)
    out = args.out or checkpoint.export_folder(args.precision)
    check_output(out)
    exact = OpenClipEncoder(checkpoint)
    calibration = []
    if args.precision == "int8":
        calibration = [exact.prepare(p) for p in one_frame_each(args.calibration)]
    start = time.monotonic()
    made = export_encoder(exact, out, precision=args.precision, calibration=calibration)
    seconds = time.monotonic() - start
    size_bytes = sum(file.stat().st_size for file in out.iterdir())
    if not args.json:
        print(f"{out}: {size_bytes / 1e6:.1f} MB, exported in {seconds:.0f} s")
    agreement = measure_agreement(exact, made)
    if args.json:
        facts = {"folder": str(out), "size_bytes": size_bytes, "seconds": round(seconds, 3)}
        print(json.dumps({**facts, **asdict(agreement)}, ensure_ascii=False))
    else:
        print(as_text(agreement))


def one_frame_each(folder: Path) -> list[Image]:
    """The middle frame of each of the folder's first files."""
    items = open_source(folder, limit=N_PICTURES)
    return [read_media(item.path, 1).frames[0].image for item in items if item.path]


@dataclass(frozen=True)
class Agreement:
    """How well an export agrees with its checkpoint; cosines, and shares between 0 and 1."""

    image_cosine_min: float
    image_cosine_mean: float
    text_cosine_min: float
    text_cosine_mean: float
    n_messages: int
    n_pictures: int
    overlap_at_10: float
    hit_at_5_checkpoint: float
    hit_at_5_export: float


def measure_agreement(exact: Encoder, made: Encoder) -> Agreement:
    """Compare both encoders on the starter library, one frame a GIF, and the dev messages."""
    items = list(open_source(STARTER / MEDIA, limit=N_PICTURES))
    pictures = one_frame_each(STARTER / MEDIA)
    messages = load_messages("dev")
    texts = [message.text for message in messages]
    records = [Record(item.name, item.uri, **item.described) for item in items]
    relevant = relevant_to(messages, records)
    images = [encoder.encode_images(pictures) for encoder in (exact, made)]
    words = [encoder.encode_text(texts) for encoder in (exact, made)]
    image_cosines, text_cosines = ((ours * theirs).sum(axis=1) for ours, theirs in (images, words))
    before, after = (text @ image.T for text, image in zip(words, images, strict=True))
    hits = [hit_rate_at_k(ranks_of(scores, relevant), 5) for scores in (before, after)]
    return Agreement(
        image_cosine_min=float(image_cosines.min()),
        image_cosine_mean=float(image_cosines.mean()),
        text_cosine_min=float(text_cosines.min()),
        text_cosine_mean=float(text_cosines.mean()),
        n_messages=len(texts),
        n_pictures=len(pictures),
        overlap_at_10=float(overlap_at_k(before, after, k=10)),
        hit_at_5_checkpoint=float(hits[0]),
        hit_at_5_export=float(hits[1]),
    )


def as_text(a: Agreement) -> str:
    return (
        f"image: cosine to torch in float32 {a.image_cosine_min:.5f} at least, "
        f"{a.image_cosine_mean:.5f} on average\n"
        f"text: cosine to torch in float32 {a.text_cosine_min:.5f} at least, "
        f"{a.text_cosine_mean:.5f} on average\n"
        f"top-10 lists of {a.n_messages} messages over {a.n_pictures} pictures: "
        f"{a.overlap_at_10:.1%} the same; hit@5 {a.hit_at_5_checkpoint:.1%} before, "
        f"{a.hit_at_5_export:.1%} after"
    )

"""Export a checkpoint, for searching without torch and for encoding faster on a CPU.

Writes both towers, the tokenizer and the preprocessing beside the checkpoint's weights (or,
for those that open_clip fetches, into the user's cache), where search and build find them,
and prints how well the export agrees with the checkpoint: on frames of the starter library
and on the development messages.

python scripts/export_encoder.py --model siglip2
python scripts/export_encoder.py --model mini --precision int8 --calibration my-gifs/
"""

import time
from pathlib import Path

from retrieval.build import open_source
from retrieval.cli.console import parser_for, run
from retrieval.encoders import Checkpoint, Encoder
from retrieval.encoders.export import check_output, export_encoder
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.evaluation import hit_rate_at_k, load_messages, overlap_at_k, ranks_of, relevant_to
from retrieval.library import MEDIA, Record
from retrieval.media import read_media
from retrieval.paths import STARTER

N_PICTURES = 300


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument(
        "--model",
        default="mini",
        metavar="PRESET|NAME",
        help="as for build_index.py",
    )
    parser.add_argument("--pretrained", metavar="TAG", help="open_clip tag of a NAME's weights")
    parser.add_argument("--precision", choices=("float32", "int8"), default="float32")
    parser.add_argument(
        "--calibration",
        type=Path,
        default=STARTER / MEDIA,
        metavar="FOLDER",
        help="pictures like those to be indexed, for int8",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="elsewhere than where it is used: a new path, an empty folder, or an earlier export",
    )
    args = parser.parse_args()

    checkpoint = Checkpoint.parse(args.model, args.pretrained)
    out = args.out or checkpoint.export_folder(args.precision)
    check_output(out)
    exact = OpenClipEncoder(checkpoint)
    calibration = []
    if args.precision == "int8":
        calibration = [exact.prepare(p) for p in one_frame_each(args.calibration)]
    start = time.monotonic()
    made = export_encoder(exact, out, precision=args.precision, calibration=calibration)
    size = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    print(f"{out}: {size:.1f} MB, exported in {time.monotonic() - start:.0f} s")
    print_agreement(exact, made)


def one_frame_each(folder: Path) -> list:
    """The middle frame of each of the folder's first files."""
    items = open_source(folder, limit=N_PICTURES)
    return [read_media(item.path, 1).frames[0].image for item in items if item.path]


def print_agreement(exact: Encoder, made: Encoder) -> None:
    """Cosines, overlap of top-10 lists, and hit@5 of both, one frame a GIF."""
    items = list(open_source(STARTER / MEDIA, limit=N_PICTURES))
    pictures = one_frame_each(STARTER / MEDIA)
    messages = load_messages("dev")
    texts = [message.text for message in messages]
    records = [Record(item.name, item.uri, **item.described) for item in items]
    relevant = relevant_to(messages, records)
    images = [encoder.encode_images(pictures) for encoder in (exact, made)]
    words = [encoder.encode_text(texts) for encoder in (exact, made)]
    for tower, (ours, theirs) in (("image", images), ("text", words)):
        cosines = (ours * theirs).sum(axis=1)
        least, mean = cosines.min(), cosines.mean()
        print(f"{tower}: cosine to torch in float32 {least:.5f} at least, {mean:.5f} on average")
    before, after = (text @ image.T for text, image in zip(words, images, strict=True))
    overlap = overlap_at_k(before, after, k=10)
    hits = [hit_rate_at_k(ranks_of(s, relevant), 5) for s in (before, after)]
    print(
        f"top-10 lists of {len(texts)} messages over {len(pictures)} pictures: {overlap:.1%} the "
        f"same; hit@5 {hits[0]:.1%} before, {hits[1]:.1%} after"
    )


if __name__ == "__main__":
    run(main)

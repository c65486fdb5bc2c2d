"""Build an index bundle from a folder of GIFs, pictures and short films.

The folder is walked recursively: GIF, animated WebP, APNG, JPEG, PNG, MP4, WebM. A
metadata.jsonl or metadata.csv in it (file_name, title, tags, emoji, source, license,
attribution) describes the files. What cannot be read is listed with its reason.
"""

import json
from collections import Counter
from dataclasses import asdict, fields
from pathlib import Path

from retrieval.build import DEFAULT_POOLING, BuildReport, build_index
from retrieval.bundle import POOLINGS
from retrieval.open_clip_encoder import OpenClipEncoder
from retrieval.frames import DEFAULT_FRAMES, Limits
from retrieval.presets import PRESETS

from _cli import parser_for, progress_bar, run


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a folder")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="BUNDLE",
        help="where the bundle goes; one that is there is replaced",
    )
    parser.add_argument(
        "--model",
        default="mini",
        metavar="PRESET|NAME",
        help=f"{', '.join(PRESETS)}, an open_clip name, local-dir:PATH or hf-hub:ORG/REPO",
    )
    parser.add_argument("--pretrained", metavar="TAG", help="open_clip tag of a NAME's weights")
    parser.add_argument(
        "--frames",
        type=int,
        default=DEFAULT_FRAMES,
        metavar="N",
        help="distinct frames a GIF, at most",
    )
    parser.add_argument(
        "--pooling",
        choices=POOLINGS,
        default=DEFAULT_POOLING,
        help="a GIF's score: its best frame's, or that of its frames' mean",
    )
    parser.add_argument(
        "--copy-media",
        action="store_true",
        help="copy the files into the bundle, so that it can be moved",
    )
    for bound in fields(Limits):
        parser.add_argument(
            f"--{bound.name.replace('_', '-')}",
            type=int,
            default=bound.default,
            metavar="N",
            help="bound of decoding; over it a file is left out",
        )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    args = parser.parse_args()
    if args.frames < 1:
        parser.error(f"--frames is {args.frames}; expected 1 or more")

    limits = Limits(**{bound.name: getattr(args, bound.name) for bound in fields(Limits)})
    encoder = OpenClipEncoder(args.model, args.pretrained)
    with progress_bar("indexing", "file") as progress:
        report = build_index(
            args.source,
            args.out,
            encoder,
            frames=args.frames,
            pooling=args.pooling,
            copy_media=args.copy_media,
            limits=limits,
            progress=progress,
        )
    print(as_json(report) if args.json else as_text(report))


def as_json(report: BuildReport) -> str:
    return json.dumps(
        {
            "gifs": report.n_gifs,
            "frames": report.n_frames,
            "skipped": [asdict(skipped) for skipped in report.skipped],
            "seconds": round(report.seconds, 3),
            "gifs_per_second": round(report.gifs_per_second, 2),
        },
        ensure_ascii=False,
    )


def as_text(report: BuildReport) -> str:
    lines = [f"skipped {skipped.path}: {skipped.reason}" for skipped in report.skipped]
    reasons = Counter(skipped.reason for skipped in report.skipped).most_common()
    why = "; ".join(f"{count} × {reason}" for reason, count in reasons)
    lines.append(
        f"{report.n_gifs} GIFs indexed, {report.n_frames} frames, {len(report.skipped)} skipped"
        f"{f' ({why})' if why else ''}, {report.seconds:.1f} s, "
        f"{report.gifs_per_second:.1f} GIFs/s"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)

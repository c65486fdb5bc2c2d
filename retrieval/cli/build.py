"""Build or update an index bundle from GIFs, pictures and short films.

SOURCE is a folder (walked recursively: GIF, animated WebP, APNG, JPEG, PNG, MP4, WebM), a
list of paths and addresses (.txt, .csv, .jsonl, .parquet), or dataset:NAME for a Hugging Face
data set. Files that cannot be read are reported with the reason. A metadata.jsonl or
metadata.csv in a folder, and the columns of a list or a data set (file_name, title, tags, emoji,
source, license, attribution), describe the files. An update embeds only new and changed files.

reaction-search build my-gifs/ --out index/mine --model siglip2
reaction-search build urls.csv --out index/mine --copy-media
reaction-search build dataset:owner/name --split train --out index/mine --copy-media
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from retrieval.build import (
    LeaveOut,
    as_html,
    as_json,
    as_text,
    build_index,
    check_output,
    check_report,
    open_source,
)
from retrieval.cli.console import UsageError, progress_bar
from retrieval.encoders import (
    DEVICES,
    PRECISIONS,
    PRESETS,
    RUNTIMES,
    Checkpoint,
    Encoder,
    find_export,
    load_encoder,
)
from retrieval.errors import BundleError, CheckpointError, HubOfflineError, StorageError
from retrieval.library import (
    CATALOG,
    DEFAULT_POOLING,
    KINDS,
    POOLINGS,
    SIGNALS,
    check_signals,
    is_web_address,
    media_path,
    read_catalog,
    read_manifest,
)
from retrieval.media import DEFAULT_FRAMES, Limits
from retrieval.renditions import RenditionStore, prepare_renditions

PREPARED_WIDTHS = (100, 200)  # pixels, of the page's cards


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a folder, a list, or dataset:NAME")
    add(
        "--out",
        type=Path,
        required=True,
        metavar="BUNDLE",
        help="the bundle's folder: a new path, an empty folder, or a bundle to update; anything "
        "else is refused, and files in it that do not belong to the bundle stay",
    )
    add(
        "--model",
        default="mini",
        metavar="PRESET|NAME",
        help=f"{', '.join(PRESETS)}, an open_clip name, local-dir:PATH or hf-hub:ORG/REPO",
    )
    add("--pretrained", metavar="TAG", help="open_clip tag of a NAME's weights")
    add("--device", choices=DEVICES, default="auto", help="where to encode")
    add(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of the image tower; auto: that of the bundle to update, else bfloat16 if it is "
        "faster here and gives the same embeddings, else float32",
    )
    add(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="auto: on a CPU the exported checkpoint, exported first if necessary",
    )
    add("--split", metavar="NAME", help="split of a data set")
    add("--limit", type=int, metavar="N", help="only the first N items")
    add(
        "--frames",
        type=int,
        default=DEFAULT_FRAMES,
        metavar="N",
        help="most distinct frames to embed per GIF",
    )
    add(
        "--pooling",
        choices=POOLINGS,
        default=DEFAULT_POOLING,
        help="a GIF's score: that of its best frame, or of its mean embedding",
    )
    add(
        "--signals",
        type=_signals,
        default=",".join(SIGNALS),
        metavar="NAME,…",
        help="what a search can go by; frames is always needed, words are read in the pictures, "
        "which takes most of the time of a build",
    )
    add(
        "--ocr-model",
        type=Path,
        metavar="FILE.onnx",
        help="another recogniser of words, such as PP-OCRv5's for Cyrillic; those that are "
        "included read Latin, Greek, Chinese, Japanese and Korean",
    )
    add("--index-kind", choices=("auto", *KINDS), default="auto", help="auto: by size")
    add(
        "--copy-media",
        action="store_true",
        help="copy the files into the bundle, so that it can be moved",
    )
    add(
        "--leave-out",
        type=Path,
        metavar="FILE",
        help="a text with one path, address or GIF id per line: these are not indexed, and the "
        "files stay; the library page writes one of the look-alikes that you do not keep",
    )
    add("--fresh", action="store_true", help="embed all files again")
    add(
        "--allow-private-addresses",
        action="store_true",
        help="fetch files from this machine's network, too, where a list names them; otherwise "
        "only addresses that are public are connected to, also after a redirect",
    )
    add(
        "--renditions",
        action="store_true",
        help="afterwards make the small renditions that the page shows, into its cache "
        "(REACTION_CACHE); otherwise each is made when it is first shown",
    )
    for bound in fields(Limits):
        add(
            f"--{bound.name.replace('_', '-')}",
            type=int,
            default=bound.default,
            metavar="N",
            help="decoding limit; files above it are skipped",
        )
    add("--report", type=Path, metavar="FILE", help="also write the report as HTML")
    add("--json", action="store_true", help="print the report as JSON")


def execute(args: argparse.Namespace) -> None:
    for name in ("frames", "limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} is {value}; expected 1 or more")

    if args.ocr_model and "words" not in args.signals:
        raise UsageError("--ocr-model is given, but --signals has no words to read with it")
    leave_out = LeaveOut.read(args.leave_out) if args.leave_out else None
    limits = Limits(**{bound.name: getattr(args, bound.name) for bound in fields(Limits)})
    source = open_source(args.source, split=args.split, limit=args.limit)
    out = check_output(args.out, source, copy_media=args.copy_media)
    if args.report:
        check_report(args.report)
    checkpoint = Checkpoint.parse(args.model, args.pretrained)
    encoder = encoder_for(checkpoint, args.device, args.precision, args.runtime, out)
    with progress_bar("indexing", "file") as progress:
        report = build_index(
            source,
            args.out,
            encoder,
            frames=args.frames,
            pooling=args.pooling,
            copy_media=args.copy_media,
            limits=limits,
            index_kind=args.index_kind,
            fresh=args.fresh,
            progress=progress,
            signals=args.signals,
            ocr_model=args.ocr_model,
            leave_out=leave_out,
            allow_private_addresses=args.allow_private_addresses,
        )
    if args.renditions:
        print(make_renditions(args.out), file=sys.stderr)
    print(json.dumps(as_json(report), ensure_ascii=False) if args.json else as_text(report))
    if args.report:
        try:
            args.report.write_text(as_html(report), encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"The report cannot be written to {args.report}: {error.strerror}. The index is "
                f"whole; name another file with --report and run it again, which embeds nothing."
            ) from error


def make_renditions(bundle: Path) -> str:
    """Make the renditions of a bundle's files that the page's cache lacks; what was made."""
    from retrieval.web import Settings  # the page's own packages, which other builds do without

    settings = Settings.read()
    store = RenditionStore(settings.cache, settings.cache_mb * 1_000_000)
    places = ((r.id, media_path(bundle, r, pulled=False)) for r in read_catalog(bundle / CATALOG))
    files = [
        (gif_id, Path(place)) for gif_id, place in places if place and not is_web_address(place)
    ]
    with progress_bar("renditions", "file") as progress:
        prepared = prepare_renditions(files, store, PREPARED_WIDTHS, progress)
    lines = [f"{prepared.n_made:,} renditions made, {prepared.n_stored:,} were there before."]
    lines += [f"No rendition of GIF {gif_id[:12]}: {reason}" for gif_id, reason in prepared.failed]
    return "\n".join(lines)


def _signals(names: str) -> list[str]:
    try:
        return check_signals([name.strip() for name in names.split(",")])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def encoder_for(
    checkpoint: Checkpoint, device: str, precision: str, runtime: str, out: Path
) -> Encoder:
    """The encoder to build with; exports the checkpoint first where encoding gets faster."""
    if precision == "auto":
        precision = precision_of(out, checkpoint) or precision
    encoder = load_encoder(checkpoint, device=device, precision=precision, runtime=runtime)
    exportable = runtime == "auto" and device in ("auto", "cpu") and precision != "int8"
    if not exportable:
        return encoder
    with suppress(HubOfflineError):  # then open_clip holds the checkpoint from before
        if find_export(checkpoint):
            return encoder
    from retrieval.encoders.export import export_encoder
    from retrieval.encoders.open_clip import OpenClipEncoder

    if not isinstance(encoder, OpenClipEncoder) or encoder.device != "cpu":
        return encoder
    print(f"Exporting {encoder.label} once, for encoding several times as fast …", file=sys.stderr)
    if encoder.precision != "float32":  # its weights were rounded
        encoder = OpenClipEncoder(checkpoint)
    try:
        export_encoder(encoder, checkpoint.export_folder("float32"))
    except (CheckpointError, OSError) as error:
        print(f"Encoding with torch: {error}", file=sys.stderr)
        return load_encoder(checkpoint, device=device, precision=precision, runtime="torch")
    return load_encoder(checkpoint, device=device, precision=precision)


def precision_of(out: Path, checkpoint: Checkpoint) -> str | None:
    """The precision of the bundle at `out`, if it was built with this checkpoint."""
    try:
        manifest = read_manifest(out)
    except BundleError:
        return None
    return manifest.precision if manifest.encoder_checkpoint == checkpoint else None

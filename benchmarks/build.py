"""What a build costs, against the plain loop and against the machine's limit.

Real-sized GIFs (480 × 270, 36 frames) are made from the starter's art, which moves over
a drifting background of noise at every scale, as a photograph has. Sides:

plain      what open_clip's README documents, one GIF at a time: Pillow opens it and seeks
           to the same frames, open_clip's preprocess, float32, torch
ours       build_index at the same frames, with the exported encoder: float32, then bfloat16
           where the processor has it, then int8, then fewer frames
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from benchmarks.machine_limit import image_gflop, matmul_gflops
from retrieval.build import build_index
from retrieval.encoders import Checkpoint, load_encoder, probe_pixels
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.openvino import ExportedEncoder
from retrieval.evaluation import load_messages, overlap_at_k
from retrieval.library import MEDIA
from retrieval.media import read_media
from retrieval.paths import STARTER
from retrieval.search import Searcher

WIDTH, HEIGHT, N_FRAMES, FRAME_MS = 480, 270, 36, 60
FRAMES = 8
SIGNALS = ("frames",)  # as the plain loop: reading words takes most of the time of a build

T = TypeVar("T")


def measure_build(n_gifs: int, n_unchanged: int) -> None:
    """Print the comparison on ViT-B-32, the agreement on `mini`, and the second run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_gifs(folder / "gifs", n_gifs)
        checkpoint = make_checkpoint(folder / "vit-b-32")
        peaks = {p: matmul_gflops(p) for p in ("float32", "bfloat16")}
        gflop = apart(image_gflop, checkpoint)
        of = ", ".join(f"{gflops:,.0f} GFLOP/s {name}" for name, gflops in peaks.items())
        print(f"peak of a 2,048² product: {of}")
        print(f"ViT-B-32, random weights, {n_gifs} GIFs of {WIDTH} × {HEIGHT}, {N_FRAMES} frames")
        rates: dict[str, float] = {}
        sides = [
            ("plain", "float32", FRAMES),
            ("ours", "float32", FRAMES),
            ("ours", "bfloat16", FRAMES),
            ("ours", "int8", FRAMES),
            ("ours", "bfloat16", FRAMES * 3 // 4),
        ]
        for precision in ("float32", "int8"):  # not on the account of those who use it
            apart(exported, checkpoint, precision, True)
        for side, precision, frames in sides:
            facts = apart(one_side, side, checkpoint, precision, frames, folder)
            label = f"{side}, {precision}, {frames} frames"
            rates[label] = rate = facts["gifs_per_second"]
            ratio = rate / rates[f"plain, float32, {FRAMES} frames"]
            line = f"  {label}: {rate:.2f} GIFs/s, {ratio:.2f} times the plain loop"
            line += f", {facts['peak_mb']:,.0f} MB at most"
            if "stages" in facts:
                peak = peaks["float32" if precision == "float32" else "bfloat16"]
                limit = facts["pictures"] * gflop / peak
                line += f"; limit {limit / facts['seconds']:.0%}; {facts['stages']}"
            print(line, flush=True)
        print_agreement(folder)
        print_second_run(folder, n_unchanged)


def apart(function: Callable[..., T], *args: Any) -> T:
    """The function's answer, from a process of its own, for an honest peak of memory."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)


def one_side(
    side: str, checkpoint: str, precision: str, frames: int, folder: Path
) -> dict[str, Any]:
    """Embed all GIFs once; rates without loading and exporting."""
    paths = sorted((folder / "gifs").glob("*.gif"))
    facts: dict[str, Any] = {}
    if side == "plain":
        import open_clip
        import torch

        with contextlib.redirect_stderr(io.StringIO()):
            model, _, preprocess = open_clip.create_model_and_transforms(checkpoint)
        model.eval()
        indices = {p: [f.index for f in read_media(p, frames).frames] for p in paths}
        start = time.perf_counter()
        for path in paths:
            pictures = []
            with Image.open(path, formats=["GIF"]) as gif, torch.no_grad():
                for index in indices[path]:
                    gif.seek(index)
                    pictures.append(preprocess(gif.convert("RGB")))
                features = model.encode_image(torch.stack(pictures))
                features /= features.norm(dim=-1, keepdim=True)
        seconds = time.perf_counter() - start
    else:
        encoder = exported(checkpoint, precision)
        encoder.encode_pixels(probe_pixels(encoder.prepare.size, 1))  # compiles the tower
        report = build_index(
            folder / "gifs", folder / "bundle", encoder, frames=frames, fresh=True, signals=SIGNALS
        )
        seconds, stages = report.seconds, report.stages
        facts["pictures"] = report.n_pictures
        facts["stages"] = (
            f"encoding {stages.encode / seconds:.0%} of the time, waiting for frames "
            f"{stages.wait / seconds:.0%}, writing {report.write_seconds / seconds:.0%}; decoding "
            f"took {stages.decode / seconds:.0%} of a core beside it"
        )
    facts["seconds"] = seconds
    facts["gifs_per_second"] = len(paths) / seconds
    facts["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return facts


def exported(checkpoint: str, precision: str, only_make: bool = False) -> Any:
    """The exported encoder, made first if there is none; int8 is calibrated on the starter."""
    from retrieval.encoders.export import export_encoder

    kind = "int8" if precision == "int8" else "float32"
    out = Checkpoint.parse(checkpoint).export_folder(kind)
    if checkpoint == "mini" and kind == "int8":  # not beside the shipped checkpoint
        out = Path(tempfile.mkdtemp()) / "int8"
    if not (out / "encoder.json").is_file():
        exact = OpenClipEncoder(checkpoint)
        pictures = [exact.prepare(read_media(p, 1).frames[0].image) for p in starter_gifs()[:200]]
        export_encoder(exact, out, precision=kind, calibration=pictures)
    return None if only_make else ExportedEncoder(out, checkpoint, precision=precision)


def starter_gifs() -> list[Path]:
    return sorted((STARTER / MEDIA).glob("*.gif"))


def make_checkpoint(folder: Path) -> str:
    """A ViT-B-32 with random weights, as local-dir:."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    config = {"model_cfg": open_clip.get_model_config("ViT-B-32"), "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    with contextlib.redirect_stderr(io.StringIO()):
        model = open_clip.create_model(f"local-dir:{folder}")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def make_gifs(folder: Path, n: int) -> None:
    """n GIFs of real size, from the starter's art."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    big = probe_pixels((HEIGHT + 2 * N_FRAMES, WIDTH + 4 * N_FRAMES), 4)
    art = starter_gifs()
    for number in range(n):
        with Image.open(art[number % len(art)], formats=["GIF"]) as gif:
            noise = rng.normal(0, 12, big[0].shape)
            backdrop = Image.fromarray(np.clip(big[number % 4] + noise, 0, 255).astype(np.uint8))
            frames = []
            for i in range(N_FRAMES):
                x, y = 4 * i, 2 * i
                frame = backdrop.crop((x, y, x + WIDTH, y + HEIGHT))
                gif.seek(i * getattr(gif, "n_frames", 1) // N_FRAMES)
                figure = gif.convert("RGBA").resize((200, 200))
                frame.paste(figure, (140 + 2 * i, 35), figure)
                frames.append(frame)
        frames[0].save(
            folder / f"{number:04}.gif", save_all=True, append_images=frames[1:],
            duration=FRAME_MS, loop=0,
        )  # fmt: skip


def print_agreement(folder: Path) -> None:
    """Top-10 lists of the development and test messages over the starter, with `mini`."""
    messages = [m.text for part in ("dev", "test") for m in load_messages(part)][:200]
    text_encoder = load_encoder("mini")
    texts = text_encoder.encode_text(messages)
    plain: np.ndarray | None = None
    for name, precision, frames in (
        ("float32", "float32", FRAMES),
        ("bfloat16", "bfloat16", FRAMES),
        ("int8", "int8", FRAMES),
        ("bfloat16, 6 frames", "bfloat16", FRAMES * 3 // 4),
    ):
        out = folder / "mini"
        report = build_index(
            STARTER / MEDIA,
            out,
            exported("mini", precision),
            frames=frames,
            fresh=True,
            signals=SIGNALS,
        )
        means = Searcher.open(out, text_encoder).means(range(report.n_gifs))
        if plain is None:
            plain = means
            continue
        same = overlap_at_k(texts @ plain.T, texts @ means.T, k=10)
        cosine = (plain * means).sum(axis=1).min()
        print(
            f"mini, {name}: cosine of GIFs to float32 {cosine:.4f} at least; top-10 lists of "
            f"{len(messages)} messages {same:.1%} the same",
            flush=True,
        )


def print_second_run(folder: Path, n: int) -> None:
    """A second run over n unchanged files, in a process of its own."""
    many = folder / "many"
    many.mkdir()
    shipped = [path.read_bytes() for path in starter_gifs()]
    for number in range(n):  # a comment makes each file's bytes its own
        data = shipped[number % len(shipped)].removesuffix(b";")
        note = str(number).encode()
        comment = b"!\xfe" + bytes([len(note)]) + note + b"\0"
        (many / f"{number:06}.gif").write_bytes(data + comment + b";")
    for which in ("first", "second"):
        time.sleep(2.1)  # a file as young as this is read again
        facts = apart(_run_over, many, folder / "many-bundle")
        print(
            f"mini, {which} run over {n:,} files: {facts['seconds']:.1f} s, "
            f"{facts['embedded']:,} embedded, {facts['peak_mb']:,.0f} MB at most",
            flush=True,
        )


def _run_over(source: Path, out: Path) -> dict[str, Any]:
    start = time.perf_counter()
    report = build_index(source, out, load_encoder("mini", precision="bfloat16"), signals=SIGNALS)
    return {
        "seconds": time.perf_counter() - start,
        "embedded": report.n_embedded,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }

"""Make the starter library: animated reactions as GIFs, with what is known of each.

Takes Microsoft's animated Fluent emoji (MIT) out of four npm packages (730 MB, fetched
once into --cache), and writes GIFs, metadata.jsonl and the licence notice to --out.
Build the shipped bundle from it with:

    reaction-search build OUT --out index/starter --copy-media
"""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from retrieval.cli.console import parser_for, run
from retrieval.errors import SourceError
from retrieval.evaluation import art, load_starter
from retrieval.media import on_white
from retrieval.output import require_empty

SIDE = 128
# The originals show 72 frames of 42 ms. Every second one, at the hundredths of a
# second that GIF can say, halves the bytes and still reads as motion.
FRAME_STEP = 2
FRAME_MS = 80
COLOURS = 48
STILL = 20  # of 255: a pixel that changes by less keeps its colour
SOURCE = "https://github.com/microsoft/fluentui-emoji"
ATTRIBUTION = "Fluent Emoji, © Microsoft Corporation"
LICENSE_FILE = Path("data/licenses/fluent-emoji-MIT.txt")


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    parser.add_argument("--cache", type=Path, default=Path("data/cache"), help="where art is kept")
    args = parser.parse_args()
    require_empty(args.out)

    emoji = {e.key: e for e in art.load_emoji(args.cache)}
    files = art.animations(args.cache)
    keys = [art.key_of_char(char) for char in load_starter()]
    missing = [k for k in keys if k not in files or k not in emoji]
    if missing:
        raise SourceError(f"No animation for {', '.join(missing)}; see data/starter.json.")
    args.out.mkdir(parents=True, exist_ok=True)
    lines, total = [], 0
    for key in tqdm(keys, unit="GIF", desc="starter library"):
        name = f"{emoji[key].names[0].replace(' ', '-').replace(':', '')}.gif"
        size = write_gif(files[key], args.out / name)
        if size == 0:
            raise SourceError(f"{emoji[key].char} ({key}) does not move; see data/starter.json.")
        total += size
        lines.append(
            json.dumps(
                {
                    "file_name": name,
                    "title": emoji[key].names[0],
                    "tags": list(emoji[key].tags),
                    "emoji": emoji[key].char,
                    "source": SOURCE,
                    "license": "MIT",
                    "attribution": ATTRIBUTION,
                },
                ensure_ascii=False,
            )
        )
    (args.out / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copyfile(LICENSE_FILE, args.out / "LICENSE.txt")
    print(f"{len(keys)} GIFs, {total / 1e6:.1f} MB, written to {args.out}")


def write_gif(source: Path, out: Path) -> int:
    """Write the animation as a GIF on white; the bytes written, 0 if nothing moves."""
    with Image.open(source, formats=["WEBP"]) as animation:
        frames = []
        for index in range(0, getattr(animation, "n_frames", 1), FRAME_STEP):
            animation.seek(index)
            frames.append(
                on_white(animation.convert("RGBA").resize((SIDE, SIDE), Image.Resampling.LANCZOS))
            )
    if len({frame.tobytes() for frame in frames}) < 2:
        return 0
    frames = _settled(frames)
    # One palette for all frames: colours that flicker cost bytes and look broken.
    sheet = Image.new("RGB", (SIDE, SIDE * len(frames)))
    for row, frame in enumerate(frames):
        sheet.paste(frame, (0, row * SIDE))
    palette = sheet.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    indexed = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    for frame in indexed:
        _whiten(frame)
    indexed[0].save(
        out, save_all=True, append_images=indexed[1:], duration=FRAME_MS, loop=0, optimize=True
    )
    return out.stat().st_size


def _whiten(frame: Image.Image) -> None:
    """Make the palette's near-whites pure white: averaged with edges, the background is not."""
    colours = np.array(frame.getpalette()).reshape(-1, 3)
    colours[colours.min(axis=1) >= 246] = 255
    frame.putpalette(colours.reshape(-1).tolist())


def _settled(frames: list[Image.Image]) -> list[Image.Image]:
    """The frames with every pixel left alone until it changes by more than STILL.

    Slow shading would otherwise rewrite most of each frame for a change no one sees.
    """
    shown = np.asarray(frames[0], np.int16)
    settled = [frames[0]]
    for frame in frames[1:]:
        new = np.asarray(frame, np.int16)
        changed = np.abs(new - shown).max(axis=2, keepdims=True) > STILL
        shown = np.where(changed, new, shown)
        settled.append(Image.fromarray(shown.astype(np.uint8)))
    return settled


if __name__ == "__main__":
    run(main)

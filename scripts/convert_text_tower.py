"""Convert all-MiniLM-L6-v2 into the frozen text tower of the `mini` checkpoint.

Run once, when the checkpoint folder was first made; training never touches the
result. The input is the published model's folder (model.safetensors, config.json,
tokenizer.json, tokenizer_config.json); its weights are checked against the
SHA-256 of the original before anything is written.
"""

import hashlib
import os
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from retrieval.cli.console import parser_for, run
from retrieval.encoders import CHECKPOINTS

ORIGINAL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("source", type=Path, help="the published model's folder")
    parser.add_argument(
        "--out", type=Path, default=CHECKPOINTS / "mini", help="the checkpoint's folder"
    )
    args = parser.parse_args()

    weights_file = args.source / "model.safetensors"
    if not weights_file.is_file():
        parser.error(f"{weights_file} is missing; give the folder of all-MiniLM-L6-v2")
    found = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    if found != ORIGINAL_SHA256:
        parser.error(f"{weights_file} has SHA-256 {found}, expected {ORIGINAL_SHA256}")

    file = args.out / "text_tower.safetensors"
    for path in (file, *(args.out / name for name in TOKENIZER_FILES)):
        if args.out != CHECKPOINTS / "mini" and os.path.lexists(path):
            parser.error(f"{path} is there already, and would be overwritten; name a new folder")

    tower = {
        f"text.transformer.{name}": tensor.half().contiguous()
        for name, tensor in load_file(weights_file).items()
        # The pooler belongs to BERT's next-sentence task; position_ids are a counter.
        if not name.startswith("pooler.") and not name.endswith("position_ids")
    }
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(tower, file, metadata={"source": ORIGINAL_SHA256})
    for name in TOKENIZER_FILES:
        shutil.copyfile(args.source / name, args.out / name)
    size = file.stat().st_size
    print(f"{len(tower)} tensors, {size / 1e6:.1f} MB, written to {args.out}")


if __name__ == "__main__":
    run(main)

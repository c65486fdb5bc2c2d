"""Publish a checkpoint on the Hugging Face Hub, as open_clip loads it from there.

CHECKPOINT is mini or local-dir:PATH. The repository OWNER/NAME is created if there is none,
and then holds this checkpoint and nothing else, in one commit: settings, tokenizer, all
weights in one safetensors file, the exported towers for serving without torch, the model card.
It needs a token that may write: `hf auth login`, or HF_TOKEN.

python scripts/publish_model.py local-dir:artifacts/mine OWNER/NAME
python scripts/build_index.py my-gifs/ --out index/mine --model hf-hub:OWNER/NAME
"""

import tempfile
from pathlib import Path

from retrieval.cli.console import parser_for, print_upload, run
from retrieval.hub import check_repo_id, upload
from retrieval.publishing import checkpoint_files


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="mini or local-dir:PATH")
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="the repository on the Hub")
    parser.add_argument("--private", action="store_true", help="only you may see it")
    parser.add_argument("--dry-run", action="store_true", help="say what would go up, send nothing")
    args = parser.parse_args()

    check_repo_id(args.repo_id)
    with tempfile.TemporaryDirectory() as staging:
        made = checkpoint_files(args.checkpoint, args.repo_id, Path(staging))
        print_upload(made.files, made.warnings)
        if args.dry_run:
            print("Dry run: nothing was sent to the Hub.")
            return
        message = f"Checkpoint {args.checkpoint.rpartition('/')[2]}"
        print(upload(args.repo_id, "model", made.files, message=message, private=args.private))


if __name__ == "__main__":
    run(main)

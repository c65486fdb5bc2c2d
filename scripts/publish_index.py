"""Publish an index bundle on the Hugging Face Hub, as a data set with a data card.

BUNDLE is a folder that build_index.py made. The repository OWNER/NAME is created if there is
none, and then holds this bundle and nothing else, in one commit. It needs a token that may
write: `hf auth login`, or HF_TOKEN. Whoever may read it opens it by its address:

python scripts/publish_index.py index/mine OWNER/NAME
python scripts/search.py "thank you!" --index hf://datasets/OWNER/NAME
"""

from pathlib import Path

from retrieval.cli.console import parser_for, print_upload, run
from retrieval.hub import check_repo_id, upload
from retrieval.publishing import bundle_files


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle's folder")
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="the repository on the Hub")
    parser.add_argument("--private", action="store_true", help="only you may see it")
    parser.add_argument("--dry-run", action="store_true", help="say what would go up, send nothing")
    args = parser.parse_args()

    check_repo_id(args.repo_id)
    made = bundle_files(args.bundle, args.repo_id)
    print_upload(made.files, made.warnings)
    if args.dry_run:
        print("Dry run: nothing was sent to the Hub.")
        return
    message = f"Index bundle {args.bundle.name}"
    print(upload(args.repo_id, "dataset", made.files, message=message, private=args.private))


if __name__ == "__main__":
    run(main)

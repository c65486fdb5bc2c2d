"""Put the page on the Hugging Face Hub as a Space, with a bundle and its checkpoint.

Shows what goes up and how large it is, then creates or updates the Space in one commit, sets
its variables and prints its address. Needs a token (`hf auth login`) and, for a Space that is
new, a paid plan of the Hub. With --dry-run all of it is written to a folder and nothing is sent.

python scripts/deploy_space.py me/reactions
python scripts/deploy_space.py me/reactions --bundle hf://datasets/me/my-gifs
python scripts/deploy_space.py me/reactions --bundle index/mine --dry-run /tmp/space
"""

import shlex
from pathlib import Path

from retrieval.cli.console import parser_for, print_upload, run
from retrieval.hub import check_repo_id, is_address, upload
from retrieval.paths import ROOT, STARTER
from retrieval.publishing import assemble, write


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="of the Space")
    parser.add_argument(
        "--bundle",
        default=str(STARTER),
        metavar="BUNDLE|hf://…",
        help="what the Space serves: a folder, which goes up with it, or "
        "hf://datasets/OWNER/NAME[@REVISION], which the Space fetches",
    )
    parser.add_argument(
        "--model",
        metavar="PRESET|NAME",
        help="where the Space takes the bundle's checkpoint from, if not from where the bundle "
        "says: a preset, MODEL/TAG, local-dir:PATH, or hf-hub:OWNER/NAME[@REVISION], which the "
        "Space fetches; it must have the same fingerprint",
    )
    parser.add_argument(
        "--torch",
        action="store_true",
        help="build with PyTorch and open_clip, for a checkpoint that is not exported here",
    )
    parser.add_argument(
        "--no-bake",
        action="store_true",
        help="fetch what lies on the Hub at every start, not once while building",
    )
    parser.add_argument("--private", action="store_true", help="a Space that only you see, if new")
    parser.add_argument(
        "--dry-run",
        nargs="?",
        const=ROOT / "artifacts" / "space",
        type=Path,
        metavar="FOLDER",
        help="write what would go up into this empty folder (artifacts/space if none is named), "
        "and stop",
    )
    args = parser.parse_args()

    check_repo_id(args.repo_id)
    space = assemble(args.bundle, model=args.model, torch=args.torch, bake=not args.no_bake)
    print_upload(space.files)
    given = [f"{key}={value}" for key, value in space.variables.items() if value is not None]
    print("Variables:", ", ".join(given))
    if args.dry_run:
        write(space, args.dry_run)
        command = ["python", "-m", "tests.support.run_space", str(args.dry_run)]
        command += ["--into", "EMPTY_FOLDER"]
        command += [word for variable in given for word in ("--variable", variable)]
        print(f"Written to {args.dry_run}; nothing was sent. Run it here: {shlex.join(command)}")
        return
    served = args.bundle if is_address(args.bundle) else Path(args.bundle).resolve().name
    address = upload(
        args.repo_id,
        "space",
        space.files,
        message=f"Serve {served}",
        private=args.private,
        space_sdk="docker",
        variables=space.variables,
    )
    print(address)


if __name__ == "__main__":
    run(main)

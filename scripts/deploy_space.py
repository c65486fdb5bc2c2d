"""Put the page on the Hugging Face Hub as a Space, with a bundle and its checkpoint.

Shows what goes up and how large it is, then creates or updates the Space in one commit, sets
its variables and prints its address. Needs a token (`hf auth login`) and, for a Space that is
new, a paid plan of the Hub. With --dry-run all of it is written to a folder and nothing is sent.

python scripts/deploy_space.py me/reactions
python scripts/deploy_space.py me/reactions --bundle hf://datasets/me/my-gifs
python scripts/deploy_space.py me/reactions --bundle index/mine --dry-run /tmp/space
"""

from pathlib import Path, PurePosixPath
from textwrap import shorten

from retrieval.bundle import Manifest, read_manifest
from retrieval.errors import SpaceError
from retrieval.settings import ROOT, STARTER
from retrieval.space import Space, assemble, by_folder, check_repo_id, hub_bundle, size_of, write

from _cli import parser_for, run

N_LARGEST = 5
LIST_CHARS = 100


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
        "says: as for build_index.py, or hf://OWNER/NAME",
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
    remote = hub_bundle(args.bundle)
    space = assemble(
        args.bundle,
        manifest_on_hub(*remote) if remote else None,
        model=args.model,
        torch=args.torch,
        bake=not args.no_bake,
    )
    print_contents(space)
    if args.dry_run:
        write(space, args.dry_run)
        variables = " ".join(f"--variable {k}={v}" for k, v in space.variables.items())
        print(
            f"Written to {args.dry_run}; nothing was sent. Run it here: python "
            f"scripts/run_space.py {args.dry_run} --into EMPTY_FOLDER {variables}"
        )
        return
    from retrieval.hub import upload  # type: ignore[import-not-found,unused-ignore]

    address = upload(
        args.repo_id,
        "space",
        space.files,
        message=f"Serve {args.bundle if remote else Path(args.bundle).name}",
        private=args.private,
        space_sdk="docker",
        variables=space.variables,
    )
    print(address)


def manifest_on_hub(repo_id: str, revision: str | None) -> Manifest:
    """The manifest of a bundle that lies on the Hub; nothing else of it is fetched."""
    from huggingface_hub import hf_hub_download

    try:
        file = hf_hub_download(repo_id, "manifest.json", repo_type="dataset", revision=revision)
    except (OSError, ValueError) as error:  # all that it raises derives from these
        raise SpaceError(
            f"The manifest of the bundle {repo_id} could not be had from the Hub: {error}. Check "
            f"the name, the network and, for a private one, that you are logged in: hf auth whoami"
        ) from error
    return read_manifest(Path(file).parent)


def print_contents(space: Space) -> None:
    """What goes up: each folder's size and files, the largest of all, the variables."""
    sizes = {name: size_of(content) for name, content in space.files.items()}
    print(f"{'folder':<44} {'files':>5} {'MB':>7}")
    for folder, names in by_folder(space.files).items():
        size = sum(sizes[str(PurePosixPath(folder, name))] for name in names)
        listed = shorten(", ".join(names), LIST_CHARS, placeholder=" …")
        print(f"{folder:<44} {len(names):>5} {size / 1e6:>7.2f}  {listed}")
    print(f"{'in all':<44} {len(sizes):>5} {sum(sizes.values()) / 1e6:>7.2f}")
    print("The largest:")
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True)[:N_LARGEST]:
        print(f"{name:<50} {sizes[name] / 1e6:>7.2f}")
    print("Variables:", ", ".join(f"{k}={v}" for k, v in space.variables.items()))


if __name__ == "__main__":
    run(main)

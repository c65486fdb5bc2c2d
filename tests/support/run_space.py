"""Run a Space without Docker, as Docker would: its Dockerfile's own steps, then its server.

SPACE is what `reaction-search deploy --dry-run` wrote. The steps are followed in an empty folder
that becomes the root of the processes, the server runs as the Dockerfile's user with a
read-only application folder, and its address is printed once the Dockerfile's own health
check passes. This machine's system and Python stand in for the base image. Needs Linux and
root; nothing outside the folder is changed.

reaction-search deploy me/reactions --dry-run /tmp/space
python -m tests.support.run_space /tmp/space --into /tmp/image
"""

import time
from pathlib import Path

from retrieval.cli.console import parser_for, run
from tests.support.container import build, running


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("space", type=Path, metavar="SPACE", help="a folder with a Dockerfile")
    parser.add_argument(
        "--into",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="an empty folder for the image; about 1 GB, yours to delete",
    )
    parser.add_argument(
        "--variable",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the Space: a build argument and in the server's environment; again "
        "for several",
    )
    parser.add_argument("--build-only", action="store_true", help="stop before the server starts")
    args = parser.parse_args()
    for variable in args.variable:
        if "=" not in variable:
            parser.error(f"--variable is {variable!r}; expected NAME=VALUE")
    variables = dict(variable.split("=", 1) for variable in args.variable)

    start = time.monotonic()
    image = build(args.space, args.into, variables, say=lambda step: print(step[:100], flush=True))
    size = sum(f.lstat().st_size for f in image.root.rglob("*") if f.is_file()) / 1e6
    print(f"Built in {time.monotonic() - start:.0f} s: {size:,.0f} MB in {image.root}", flush=True)
    if args.build_only:
        return
    start = time.monotonic()
    with running(image, variables) as container:
        port = container.env.get("STREAMLIT_SERVER_PORT", image.ports[0])
        print(
            f"Healthy after {time.monotonic() - start:.1f} s, as user {image.user}: "
            f"http://127.0.0.1:{port} (Ctrl-C ends it)",
            flush=True,
        )
        container.process.wait()


if __name__ == "__main__":
    run(main)

"""What all verbs and scripts share: help texts, errors as one sentence, progress bars."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from textwrap import shorten
from typing import Any

from retrieval.errors import RetrievalError, reason_of
from retrieval.hub import Files, is_address, size_of

PROGRAM = "reaction-search"
N_LARGEST = 5
LIST_CHARS = 100


class UsageError(Exception):
    """Options that contradict one another or lack a value: shown with the usage, status 2."""


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Show every default, and a docstring's lines as they are."""


def described(doc: str) -> dict[str, Any]:
    """The arguments of a parser that a docstring describes; its help shows every default."""
    summary, _, rest = doc.strip().partition("\n\n")
    return {"description": summary, "epilog": rest, "formatter_class": _HelpFormatter}


def parser_for(doc: str, program: str | None = None) -> argparse.ArgumentParser:
    """A parser described by a module's docstring."""
    return argparse.ArgumentParser(program, **described(doc))


def run(main: Callable[[], None]) -> None:
    """Run a script's `main`, with errors shown as `exit_on_error` does."""
    with exit_on_error():
        main()


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error that the user can fix into one sentence and an exit status."""
    try:
        yield
    except RetrievalError as error:
        sys.exit(f"Error: {error}")  # status 1
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `… | head` closed the pipe
        sys.stderr.close()
    except OSError as error:  # a full disk behind `> FILE`, a file that cannot be read
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"Error: {where}{reason_of(error)}")


@contextmanager
def progress_bar(
    description: str, unit: str, *, scale: bool = False, delay_s: float = 0
) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error with rate and time left; call it with (done, total).

    `scale`: numbers are shortened, as 1.5G. `delay_s`: nothing is shown of what takes less.
    """
    from tqdm import tqdm  # 40 ms that --help does not need

    with tqdm(
        desc=description,
        unit=unit,
        unit_scale=scale,
        delay=delay_s,
        disable=not sys.stderr.isatty(),
    ) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


@contextmanager
def opening_bar(index: str | Path) -> Iterator[Callable[[int, int | None], None]]:
    """The bar of a bundle that is pulled, or of a folder's files that are read to check them."""
    pulling = progress_bar("pulling", "file")
    checking = progress_bar("checking", "B", scale=True, delay_s=1)
    with pulling if is_address(index) else checking as show:
        yield show


def print_verification(index: str | Path) -> None:
    """Read every file of a bundle again and print the result; BundleError if one was changed."""
    from retrieval.library import verify_bundle

    with opening_bar(index) as show:
        result = verify_bundle(index, show)
    print(result, file=sys.stderr)


def print_upload(files: Files) -> None:
    """Print an upload's folders with their sizes and files, and its largest files."""
    sizes = {PurePosixPath(name): size_of(content) for name, content in files.items()}
    folders: dict[str, list[PurePosixPath]] = {}
    for path in sorted(sizes):
        folders.setdefault(str(path.parent), []).append(path)  # top-level files: "."
    print(f"{'folder':<44} {'files':>6} {'MB':>9}")
    for folder, paths in sorted(folders.items()):
        listed = shorten(", ".join(p.name for p in paths), LIST_CHARS, placeholder=" …")
        size = sum(sizes[path] for path in paths)
        print(f"{folder:<44} {len(paths):>6,} {size / 1e6:>9.2f}  {listed}")
    print(f"{'in all':<44} {len(sizes):>6,} {sum(sizes.values()) / 1e6:>9.2f}")
    print("The largest:")
    for path in sorted(sizes, key=sizes.__getitem__, reverse=True)[:N_LARGEST]:
        print(f"{path!s:<51} {sizes[path] / 1e6:>9.2f}")


def print_upload_json(files: Files, address: str | None, **more: object) -> None:
    """Print an upload as JSON: bytes of every file; the address is null if nothing was sent."""
    sizes = {name: size_of(content) for name, content in files.items()}
    print(json.dumps({"address": address, "files": sizes, **more}, ensure_ascii=False))

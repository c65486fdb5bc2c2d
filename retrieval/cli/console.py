"""What every script does the same way: help, errors, progress."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from textwrap import shorten

from tqdm import tqdm

from retrieval.errors import RetrievalError, reason_of
from retrieval.hub import Files, size_of

N_LARGEST = 5
LIST_CHARS = 100


def parser_for(doc: str) -> argparse.ArgumentParser:
    """A parser that shows the script's own docstring, and every default."""
    summary, _, rest = doc.strip().partition("\n\n")

    class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
        pass

    return argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=Formatter)


def run(main: Callable[[], None]) -> None:
    """Run a script: an error that a person can mend is one sentence, not a traceback."""
    try:
        main()
    except RetrievalError as error:
        sys.exit(f"Error: {error}")  # status 1
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `… | head`: the reader has seen enough
        sys.stderr.close()
    except OSError as error:  # a full disk behind `> FILE`, a file that cannot be read
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"Error: {where}{reason_of(error)}")


@contextmanager
def progress_bar(description: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error with rate and time left; call it with (done, total)."""
    with tqdm(desc=description, unit=unit, disable=not sys.stderr.isatty()) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def print_upload(files: Files, warnings: Iterable[str] = ()) -> None:
    """What goes up: each folder's size and files, the largest of all; then what to think about."""
    sizes = {PurePosixPath(name): size_of(content) for name, content in files.items()}
    folders: dict[str, list[PurePosixPath]] = {}
    for path in sorted(sizes):
        folders.setdefault(str(path.parent), []).append(path)  # those at the top in "."
    print(f"{'folder':<44} {'files':>6} {'MB':>9}")
    for folder, paths in sorted(folders.items()):
        listed = shorten(", ".join(p.name for p in paths), LIST_CHARS, placeholder=" …")
        size = sum(sizes[path] for path in paths)
        print(f"{folder:<44} {len(paths):>6,} {size / 1e6:>9.2f}  {listed}")
    print(f"{'in all':<44} {len(sizes):>6,} {sum(sizes.values()) / 1e6:>9.2f}")
    print("The largest:")
    for path in sorted(sizes, key=sizes.__getitem__, reverse=True)[:N_LARGEST]:
        print(f"{path!s:<51} {sizes[path] / 1e6:>9.2f}")
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)

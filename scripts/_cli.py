"""What every script does the same way: help, errors, progress."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from retrieval.errors import RetrievalError


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


@contextmanager
def progress_bar(description: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error with rate and time left; call it with (done, total)."""
    with tqdm(desc=description, unit=unit, disable=not sys.stderr.isatty()) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def print_upload(files: Mapping[str, Path | bytes], warnings: Iterable[str] = ()) -> None:
    """What goes up, a line a file or a folder, with its size; then what to think about."""
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for name, content in files.items():
        folder, slash, _ = name.partition("/")
        sizes[folder + slash] += (
            len(content) if isinstance(content, bytes) else content.stat().st_size
        )
        counts[folder + slash] += 1
    for name, size in sorted(sizes.items()):
        several = f"  ({counts[name]:,} files)" if name.endswith("/") else ""
        print(f"{size / 1e6:10.3f} MB  {name}{several}")
    print(f"{sizes.total() / 1e6:10.3f} MB in {counts.total():,} files")
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)

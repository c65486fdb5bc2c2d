"""What every script does the same way: help, errors, progress."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

"""Write a static site where a web server has it, or for an upload to the Hub."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieval.hub import Files, Progress
from retrieval.output import StagedFolder, check_replaceable, resolve_output, storage_errors
from retrieval.publishing import refuse_secrets
from retrieval.search import Searcher
from retrieval.site.assemble import SITE, Site, owned_files, write_site

NO_JEKYLL = ".nojekyll"  # GitHub Pages: hand out the files as they are, vendor/ too


def write_folder(searcher: Searcher, out: Path, progress: Progress | None = None) -> Site:
    """Write a site to a folder, replacing a site that lies there; other files of it stay.

    OutputError, before work starts, if the folder holds files and is no site.
    """
    out = resolve_output(out)
    check_replaceable(out, owned_files, "a static site")
    with storage_errors(out), StagedFolder(out, owned_files) as staged:
        site = write_site(searcher, staged.path, progress)
        refuse_secrets({name: staged.path / name for name in site.files})
        (staged.path / NO_JEKYLL).touch()
        staged.commit()
    return site


@contextmanager
def written(searcher: Searcher, progress: Progress | None = None) -> Iterator[tuple[Site, Files]]:
    """A site in a temporary folder, and its files by their path in a repository.

    SpaceError if one looks like a secret.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        site = write_site(searcher, folder, progress)
        files = {name: folder / name for name in [*site.files, SITE]}
        refuse_secrets(files)
        yield site, files

"""Time what a person waits for, on the starter bundle; measure kinds of index.

query    a warm query (encode + search as the page does it), a message after the other
command  the whole search command, imports included, as a process of its own

These take minutes, and are not part of "all":

start       a cold start of the page, from its process to the first answer in a browser, and
            its memory; needs the extra [dev]; five minutes
build       GIFs a second against the plain loop of open_clip's README and against the
            machine's limit, agreement, and a second run over 10,000 files; ten minutes
duplicates  precision and recall on edited copies of the bundle's GIFs; five minutes
search      a search as the page calls it, with filter and folding, over a million frames of
            125,000 synthetic GIFs (--gifs): recall and times; three minutes, 4 GB of temporary
            files
index       build time, memory, recall and speed of each kind of index on synthetic
            libraries; a million vectors take six minutes and 3 GB of temporary files
signals     a message by all signals, encoding included, over a synthetic library of 100,000
            GIFs (--gifs); a minute
renditions  time and bytes of the small renditions that the page shows, of the bundle's GIFs or of
            those in a folder (--folder), and libwebp's settings (--parameters); two minutes
library     the library page over 100,000 synthetic GIFs (--gifs), and its map; needs the extra
            [dev]; two minutes
answers     the answer maps of the reaction model against the bare sentence embeddings, on
            messages whose answers were held out; needs the extra [train]; five minutes
api         searches over HTTP by 20 clients at once, of `serve --api-only` (--seconds for each of
            two ways, 60 by default); two minutes
site        a static site of the starter library, as its first and its second visitor meet it; needs
            the extras [dev] and [static], and npm; five minutes
sandbox     decoding in worker processes against threads, on the bundle's GIFs or on those in a
            folder (--folder), the start of a worker, and ways to send it bytes; a minute
languages   false alarms of language recognition over all English messages of data/messages, and
            how many of 480 messages in eight languages it recognises; a few seconds
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.build import measure_build
from benchmarks.duplicates import measure_duplicates
from benchmarks.index import measure_sizes
from benchmarks.renditions import measure_renditions
from benchmarks.sandbox import measure_sandbox
from benchmarks.search import PAGE_FILTER, PAGE_TOP_K, measure_search
from benchmarks.signals import measure_signals
from retrieval.cli.console import parser_for, run
from retrieval.evaluation import load_messages
from retrieval.library import MEDIA
from retrieval.paths import ROOT, STARTER
from retrieval.search import Searcher, Term

WHAT = (
    *("all", "query", "command", "start", "build", "duplicates"),
    *("index", "search", "signals", "renditions", "library", "answers", "languages", "api", "site"),
    "sandbox",
)


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("what", nargs="?", choices=WHAT, default="all", help="which of them")
    parser.add_argument("--index", type=Path, default=STARTER, metavar="BUNDLE")
    parser.add_argument("--runs", type=int, default=5, help="runs of the command, of a start")
    parser.add_argument(
        "--gifs",
        type=int,
        metavar="N",
        help="build: how many GIFs (default 48); search: default 125000; renditions and sandbox: "
        "default 200; duplicates: the first N",
    )
    parser.add_argument(
        "--sizes", type=_sizes, default="10000,100000", metavar="N,N", help="vectors, for `index`"
    )
    parser.add_argument("--files", type=int, default=10_000, help="unchanged files, for `build`")
    parser.add_argument("--dim", type=int, default=512, help="of vectors, for `index` and `search`")
    parser.add_argument("--seconds", type=float, default=60, help="for `api`")
    parser.add_argument("--folder", type=Path, help="with GIFs, for `renditions` and `sandbox`")
    parser.add_argument("--parameters", action="store_true", help="too, for `renditions`")
    args = parser.parse_args()
    if args.what == "site":
        from benchmarks.site import measure_site  # the packages of [static]

        measure_site()
        return
    if args.what == "start":
        from benchmarks.cold_start import measure_start  # a browser, which the others do without

        measure_start(args.runs)
        return
    if args.what == "build":
        measure_build(args.gifs or 48, args.files)
        return
    if args.what == "duplicates":
        measure_duplicates(args.index / MEDIA, Searcher.open(args.index).encoder, args.gifs)
        return
    if args.what == "search":
        measure_search(args.gifs or 125_000, args.dim)
        return
    if args.what == "signals":
        measure_signals(args.gifs or 100_000)
        return
    if args.what == "renditions":
        measure_renditions(args.folder or args.index / MEDIA, args.gifs or 200, args.parameters)
        return
    if args.what == "sandbox":
        measure_sandbox(args.folder or args.index / MEDIA, args.gifs or 200)
        return
    if args.what == "library":
        from benchmarks.library import measure_library  # a browser, which the others do without

        measure_library(args.gifs or 100_000)
        return
    if args.what == "answers":
        from benchmarks.answers import measure_answers  # torch, which the others do without

        measure_answers()
        return
    if args.what == "api":
        from benchmarks.api import measure_api

        measure_api(args.seconds)
        return
    if args.what == "languages":
        from benchmarks.languages import measure_languages

        measure_languages()
        return
    if args.what == "index":
        measure_sizes(args.sizes, args.dim)
        return
    print(f"{os.cpu_count()} cores; medians, with the 5th and 95th percentile")
    if args.what in ("all", "query"):
        time_queries(args.index)
    if args.what in ("all", "command"):
        time_command(args.index, args.runs)


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


def time_queries(index: Path) -> None:
    searcher = Searcher.open(index)
    messages = [m.text for m in load_messages("test")]
    encode_ms, search_ms = [], []
    for message in messages[:20] + messages:  # the first twenty warm up
        start = time.perf_counter()
        query = searcher.understand([Term(message)])
        encoded = time.perf_counter()
        searcher.search(query, PAGE_TOP_K, fold=True, keep=PAGE_FILTER)
        encode_ms.append(1000 * (encoded - start))
        search_ms.append(1000 * (time.perf_counter() - encoded))
    encode, search = np.array(encode_ms[20:]), np.array(search_ms[20:])
    n = len(searcher.collection.records)
    print(f"warm query over {n} GIFs, {len(messages)} messages: {_spread(encode + search)} ms")
    print(f"  encode {_spread(encode)} ms, search {_spread(search)} ms")


def time_command(index: Path, runs: int) -> None:
    command = [
        sys.executable,
        str(ROOT / "scripts" / "search.py"),
        "I got the job 🎉",
        "--index",
        str(index),
    ]
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    print(f"whole search command, {runs} runs: {_spread(np.array(seconds))} s")


def _spread(values: np.ndarray) -> str:
    low, middle, high = np.percentile(values, [5, 50, 95])
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    run(main)

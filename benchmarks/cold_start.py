"""A cold start of the page: from the start of its process to the first answer in a browser.

Offline, with everything on the disk, as a Space that wakes up or `make app` the second time:
with the exported encoder and with torch, for the shipped checkpoint and for a ViT-B-32 (of
random weights, over the starter's GIFs). The browser runs already and opens the page with a
message in its address as soon as the server is healthy. Of the API alone, the first answer to a
search over HTTP.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser

from benchmarks.build import apart, exported, make_checkpoint
from retrieval.build import build_index
from retrieval.encoders import CHECKPOINTS, LOCAL_DIR, load_encoder
from retrieval.library import MEDIA
from retrieval.paths import STARTER
from tests.support.browser import ANSWER, chromium
from tests.support.server import serving, serving_api

ASKED = "/?q=I+got+the+job"
SEARCHED = "/api/v1/search?q=I+got+the+job"


def measure_start(runs: int) -> None:
    """Print seconds and memory of each, medians of so many starts."""
    measure_api_start(runs)
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        sides = [("mini", STARTER, "", "exported")]
        sides.append(("mini", STARTER, without_export(CHECKPOINTS / "mini", folder), "torch"))
        checkpoint = make_checkpoint(folder / "vit-b-32")
        apart(_build, checkpoint, folder / "bundle")
        sides.append(("ViT-B-32", folder / "bundle", "", "exported"))
        plain = without_export(folder / "vit-b-32", folder)
        sides.append(("ViT-B-32", folder / "bundle", plain, "torch"))
        for label, bundle, checkpoint, runtime in sides:
            environment = {"REACTION_INDEX": str(bundle), "REACTION_CHECKPOINT": checkpoint}
            starts = [_start(browser, environment) for _ in range(runs)]
            healthy, answered, peak_mb = np.median(starts, axis=0)
            print(
                f"{label}, {runtime}: first answer {answered:.1f} s after the start of the "
                f"process (healthy after {healthy:.1f} s), {peak_mb:,.0f} MB at most; "
                f"{runs} starts, {min(s[1] for s in starts):.1f} to "
                f"{max(s[1] for s in starts):.1f} s",
                flush=True,
            )


def measure_api_start(runs: int) -> None:
    """Print seconds and memory of `serve --api-only`, until its first search is answered."""
    starts = []
    for _ in range(runs):
        start = time.perf_counter()
        with serving_api({"HF_HUB_OFFLINE": "1"}, wait_for=SEARCHED) as server:
            answered = time.perf_counter() - start
            starts.append((answered, server.resident_mb(peak=True), server.processor_s()))
    answered, peak_mb, processor_s = np.median(starts, axis=0)
    print(
        f"API alone, mini: first answer {answered:.1f} s after the start of the process "
        f"({processor_s:.1f} s of processor time), {peak_mb:,.0f} MB at most; {runs} starts, "
        f"{min(s[0] for s in starts):.1f} to {max(s[0] for s in starts):.1f} s",
        flush=True,
    )


def _start(browser: Browser, environment: dict[str, str]) -> tuple[float, float, float]:
    """(seconds until healthy, seconds until answered, MB at most) of one start."""
    start = time.perf_counter()
    with serving(environment={**environment, "HF_HUB_OFFLINE": "1"}) as server:
        healthy = time.perf_counter() - start
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{server.address}{ASKED}")
        page.wait_for_selector(ANSWER, timeout=120_000)
        answered = time.perf_counter() - start
        page.close()
        return healthy, answered, server.resident_mb(peak=True)


def without_export(checkpoint: Path, to: Path) -> str:
    """A copy of a checkpoint's folder that torch has to read, as local-dir:."""
    copy = to / f"{checkpoint.name}-plain"
    shutil.copytree(checkpoint, copy, ignore=shutil.ignore_patterns("exported"))
    return f"{LOCAL_DIR}{copy}"


def _build(checkpoint: str, out: Path) -> None:
    exported(checkpoint, "float32", True)
    encoder = load_encoder(checkpoint, precision="auto")
    build_index(STARTER / MEDIA, out, encoder, copy_media=True, signals=("frames",))
